// The curves and ChaCha20-Poly1305 against RFC 8032, RFC 7748 and RFC 8439.

import Base
import OpenSSL
import Testing

struct CurveTests {
  @Test("Ed25519 signs and verifies the vectors of RFC 8032 §7.1")
  func ed25519() {
    let vectors = [
      (
        secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        share: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", message: "",
        signature: """
        e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
        5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b
        """
      ),
      (
        secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        share: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", message: "72",
        signature: """
        92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
        """
      ),
    ]
    for vector in vectors {
      let secret = SecretBytes(hex(vector.secret))
      let message = hex(vector.message)
      #expect(Ed25519.publicKey(of: secret) == hex(vector.share))
      #expect(Ed25519.sign(message, private: secret) == hex(vector.signature))
      #expect(Ed25519.verify(hex(vector.signature), of: message, public: hex(vector.share)))
      #expect(!Ed25519.verify(hex(vector.signature), of: message + [0], public: hex(vector.share)))
      #expect(!Ed25519.verify(flipping(5, in: hex(vector.signature)), of: message, public: hex(vector.share)))
    }
    #expect(!Ed25519.verify([1, 2, 3], of: [], public: [4]))
  }

  @Test("X25519 agrees on the secret of RFC 7748 §6.1 and refuses keys of small order")
  func x25519() {
    let alice = SecretBytes(hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    let bob = SecretBytes(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    let alicePublic = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    let bobPublic = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    #expect(X25519.publicKey(of: alice) == alicePublic)
    #expect(X25519.publicKey(of: bob) == bobPublic)
    #expect(X25519.shared(private: alice, public: bobPublic)?.copy == shared)
    #expect(X25519.shared(private: bob, public: alicePublic)?.copy == shared)
    #expect(X25519.shared(private: alice, public: [UInt8](repeating: 0, count: 32)) == nil)
    #expect(X25519.shared(private: alice, public: [1, 2]) == nil)
  }

  @Test("ChaCha20-Poly1305 seals and opens the vector of RFC 8439 §2.8.2")
  func chaCha() {
    let cipher = ChaCha20Poly1305(key: SecretBytes(Array(0x80...0x9f)))
    let nonce = hex("070000004041424344454647")
    let aad = hex("50515253c0c1c2c3c4c5c6c7")
    let text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    let sealed = hex(
      """
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
      3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
      92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116 1ae10b594f09e26a7e902ecbd0600691
      """)
    #expect(cipher.seal(Array(text.utf8), nonce: nonce, aad: aad) == sealed)
    #expect(cipher.open(sealed, nonce: nonce, aad: aad) == Array(text.utf8))
    #expect(cipher.open(flipping(9, in: sealed), nonce: nonce, aad: aad) == nil)
  }

  @Test("generated pairs differ and work")
  func generated() {
    let (first, second) = (Ed25519.generate(), Ed25519.generate())
    #expect(first.public != second.public)
    #expect(Ed25519.verify(Ed25519.sign([1], private: first.private), of: [1], public: first.public))
    let (a, b) = (X25519.generate(), X25519.generate())
    let shared = X25519.shared(private: a.private, public: b.public)?.copy
    #expect(shared != nil && shared == X25519.shared(private: b.private, public: a.public)?.copy)
  }
}
