// verify.py: checks an unpacked export with nothing but Python 3 and, for the signature, the openssl command.

extension ExportReadme {
  static let verifier = #"""
    #!/usr/bin/env python3
    """Checks an unpacked export: every file's size and SHA-256, SHA256SUMS, the Merkle root, and the signature.

    python3 verify.py [--public-key HEX] [DIRECTORY]

    Needs Python 3 and nothing else; the signature is checked with the openssl command (3.0 or newer) where there is one.
    Exit code 0: everything is as it was exported. It changes nothing.
    """
    import argparse
    import hashlib
    import json
    import os
    import stat
    import subprocess
    import sys
    import tempfile

    SIGNED = ["account", "account_id", "export", "position", "created_at", "from", "to", "previous", "previous_root",
              "recordings", "recording_bytes", "files", "bytes", "root"]


    def sha256(path):
        digest, size = hashlib.sha256(), 0
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
        return digest.hexdigest(), size


    def merkle(leaves):
        stack = []
        for leaf in leaves:
            node = (1, hashlib.sha256(b"\0" + leaf).digest())
            while stack and stack[-1][0] == node[0]:
                count, left = stack.pop()
                node = (2 * count, hashlib.sha256(b"\1" + left + node[1]).digest())
            stack.append(node)
        if not stack:
            return hashlib.sha256(b"").hexdigest()
        root = stack.pop()[1]
        while stack:
            root = hashlib.sha256(b"\1" + stack.pop()[1] + root).digest()
        return root.hex()


    def is_safe(path):
        parts = path.split("/")
        return not path.startswith("/") and all(part not in ("", ".", "..") for part in parts) and "\0" not in path


    def signature(manifest):
        """True, False, or why it cannot be checked."""
        text = "komora-export 1\n"
        for name in SIGNED:
            value = manifest[name]
            text += f"{name} {'-' if value is None else value}\n"
        key = bytes.fromhex("302a300506032b6570032100" + manifest["public_key"])
        with tempfile.TemporaryDirectory() as folder:
            names = {"key": key, "text": text.encode(), "signature": bytes.fromhex(manifest["signature"])}
            for name, content in names.items():
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-in",
                       "text", "-sigfile", "signature"]
            try:
                version = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.split()
                if len(version) < 2 or version[0] != "OpenSSL" or int(version[1].split(".")[0]) < 3:
                    return "openssl is older than 3.0"
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            except (OSError, ValueError):
                return "there is no openssl command"
            return done.returncode == 0 and "Verified Successfully" in done.stdout + done.stderr


    def main():
        parser = argparse.ArgumentParser(description="Check an unpacked export.")
        parser.add_argument("directory", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
        parser.add_argument("--public-key", help="the account's public key, in hexadecimal digits")
        options = parser.parse_args()
        problems, notes, leaves, sums, listed, total = [], [], [], [], set(), 0
        os.chdir(options.directory)
        with open("manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        if manifest.get("format") != "komora-export" or manifest.get("version") != 1:
            sys.exit("manifest.json is of another version: look for a newer verify.py")
        for entry in manifest["contents"]:
            path, size, digest = entry["path"], entry["bytes"], entry["sha256"]
            if not is_safe(path) or path in listed:
                problems.append(f"{path!r}: no path of an export")
                continue
            listed.add(path)
            total += size
            leaves.append(f"{digest} {size} {path}".encode())
            sums.append(f"{digest}  {path}\n")
            try:
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    problems.append(f"{path}: no plain file")
                elif sha256(path) != (digest, size):
                    problems.append(f"{path}: not what was exported")
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
        sums.append(f"{sha256('manifest.json')[0]}  manifest.json\n")
        with open("SHA256SUMS", encoding="utf-8", newline="") as file:
            if file.read() != "".join(sums):
                problems.append("SHA256SUMS: not what was exported")
        if (len(leaves), total, merkle(leaves)) != (manifest["files"], manifest["bytes"], manifest["root"]):
            problems.append("manifest.json: its root is not that of its list")
        for folder, _, names in os.walk("."):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), ".")
                if path not in listed and path not in ("manifest.json", "SHA256SUMS"):
                    notes.append(f"{path}: not part of the export, not checked")
        signed = signature(manifest)
        if signed is False:
            problems.append("manifest.json: the signature does not hold")
        elif signed is not True:
            notes.append(f"the signature was not checked: {signed}")
        if options.public_key and options.public_key.lower() != manifest["public_key"]:
            problems.append("manifest.json: signed by another key than the one that was given")
        for line in notes:
            print("note:", line)
        for line in problems:
            print("DAMAGED:", line)
        if problems:
            sys.exit(1)
        print(f"whole: {manifest['account']}, export {manifest['export']} of {manifest['created_at']}, position "
              f"{manifest['position']}, {len(leaves)} files, {total} bytes, root {manifest['root']}")
        print(f"signed by {manifest['public_key']}" if signed is True else "not checked: the signature")


    if __name__ == "__main__":
        main()

    """#
}
