# Starts and stops one `komora dev` node in a directory of its own; sourced by scripts/test. The caller sets BIN.
# shellcheck shell=bash

# A base port whose next two are free as well (API, S3, fabric).
free_ports() {
  python3 - <<'P'
import random, socket
for _ in range(200):
    base, held = random.randrange(20000, 32000, 4), []
    try:
        for port in range(base, base + 3):
            s = socket.socket(); held.append(s); s.bind(("127.0.0.1", port))
        print(base); break
    except OSError:
        continue
    finally:
        for s in held: s.close()
else:
    raise SystemExit("no three free ports in a row")
P
}

# node_start DIR: the node's data in DIR/data, its profile below DIR/home, its words in DIR/node.log. Sets NODE_PID.
node_start() {
  local dir=$1
  mkdir -p "$dir/home"
  [ -s "$dir/port" ] || free_ports >"$dir/port"
  HOME="$dir/home" XDG_CONFIG_HOME="$dir/home/.config" \
    "$BIN/komora" dev --data "$dir/data" --port "$(cat "$dir/port")" >"$dir/node.log" 2>&1 </dev/null &
  NODE_PID=$!
  for _ in $(seq 300); do
    if grep -q -x ready "$dir/node.log"; then return 0; fi
    kill -0 "$NODE_PID" 2>/dev/null || break
    sleep 0.1
  done
  echo "the node did not say ready:" >&2
  tail -n 20 "$dir/node.log" >&2
  node_stop
  return 1
}

# Ends the node as Ctrl-C does, and after 20 s with force. The exit code is the node's own.
node_stop() {
  local code=0
  [ -n "${NODE_PID:-}" ] || return 0
  kill -TERM "$NODE_PID" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$NODE_PID" 2>/dev/null || break
    sleep 0.1
  done
  if kill -KILL "$NODE_PID" 2>/dev/null; then echo "the node did not stop within 20 s and was killed" >&2; fi
  wait "$NODE_PID" 2>/dev/null || code=$?
  NODE_PID=
  return "$code"
}

# komora with the profile of the node in DIR: komora_in DIR ARGUMENT...
komora_in() {
  local dir=$1
  shift
  HOME="$dir/home" XDG_CONFIG_HOME="$dir/home/.config" "$BIN/komora" "$@" </dev/null
}
