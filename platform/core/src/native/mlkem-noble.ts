import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import type { Encapsulated, MlkemKey } from './native.ts'

/**
 * ML-KEM-768 in JavaScript: the browser's, and Node's where the runtime has no ML-KEM (Node 22)
 * or the encapsulation must be repeatable, which node:crypto cannot do.
 */
export function nobleMlkemKey(seed: Uint8Array): MlkemKey {
  const { publicKey, secretKey } = ml_kem768.keygen(seed)
  return {
    publicKey,
    decapsulate: (ciphertext) => ml_kem768.decapsulate(ciphertext, secretKey),
  }
}

export function nobleMlkemEncapsulate(publicKey: Uint8Array, m?: Uint8Array): Encapsulated | undefined {
  try {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, m)
    return { ciphertext: cipherText, sharedSecret }
  } catch {
    return undefined
  }
}
