import vectors from '../../../vectors/ed25519-acceptance.json' with { type: 'json' }
import { fromHex } from './bytes.ts'
import { ed25519Verify } from './ed25519-rule.ts'
import { AppError } from './errors.ts'

/**
 * Checks that this runtime accepts and refuses exactly the Ed25519 edge cases of
 * vectors/ed25519-acceptance.json. A node runs it before it joins consensus: a runtime that answers
 * differently would fork. Takes a few milliseconds on Node.
 * @throws {AppError} `SIGNATURE_RULE` naming the first case that differs
 */
export function checkSignatureAcceptance(): void {
  for (const { name, publicKey, message, signature, valid } of vectors.cases) {
    if (ed25519Verify(fromHex(publicKey), fromHex(message), fromHex(signature)) !== valid) {
      throw new AppError(
        'SIGNATURE_RULE',
        `ed25519: this runtime must ${valid ? 'accept' : 'refuse'} "${name}" and does not; use a tested runtime`,
        { case: name },
      )
    }
  }
}
