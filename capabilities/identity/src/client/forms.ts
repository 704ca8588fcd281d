import {
  bool,
  bytes,
  list,
  object,
  oneOf,
  optional,
  type SignedForm,
  text,
  toBase64url,
  uint,
} from '@salus/core'

// What devices and nodes say to each other over HTTP about people: one value is the check at the node, the check at the
// device, and the documentation.

export const id16 = (doc: string) => bytes(doc, { length: 16 })
export const key32 = (doc: string) => bytes(doc, { length: 32 })
export const orgText = text('Organisation', { min: 1, max: 63 })
export const codeText = text('One-time code from the desk, xxxxxxxx-dddddddd', { min: 1, max: 64 })

/** A form with its signature, as JSON. */
export const signedForm = (doc: string, maxBytes: number) =>
  object(doc, { bytes: bytes('The form', { max: maxBytes }), sig: bytes('Ed25519', { length: 64 }) })

export const signedJson = ({ bytes: form, sig }: SignedForm): { bytes: string; sig: string } => ({
  bytes: toBase64url(form),
  sig: toBase64url(sig),
})

export const linkStatementForm = signedForm('A link statement', 1_024)
export const cardForm = signedForm('A write card', 32 * 1024)
const endorsement = bytes('The same bytes, signed by the other key', { length: 64 })

export const sessionRequestForm = object('A session, asked for with a link key', {
  linkKey: key32('Registered link key'),
  timeMs: uint('ms UTC'),
  nonce: id16('Random'),
  sig: bytes('Type statement, over (session, org, timeMs, nonce)', { length: 64 }),
})
export const sessionForm = object('A session', {
  token: text('Bearer token', { max: 64 }),
  untilMs: uint('Ends, ms UTC'),
})

export const enrolmentForm = object('A first link key', {
  code: codeText,
  statement: linkStatementForm,
  card: cardForm,
})
export const wrappedForm = object('Done', {
  wrapped: uint('Record versions that the person’s own keys open'),
})

export const replaceLinkForm = object('A link key in place of another', {
  statement: linkStatementForm,
  endorsement,
  card: cardForm,
})
export const delegateLinkForm = object('A delegate’s own link key', {
  patientKey: key32('The patient’s link key here'),
  statement: linkStatementForm,
  endorsement,
})

const keyring = bytes('Sealed keyring', { min: 1, max: 4 * 1024 * 1024 })
const envelopes = list(bytes('KRK wrapped to an unlocker', { max: 8 * 1024 }), { max: 32 })
export const putKeyringForm = object('The next version of a keyring', {
  keyring,
  envelopes: optional(envelopes),
})
const leaf = {
  salt: key32('Salt of its leaf'),
  leafIndex: uint('Place of its leaf in home’s log'),
}
export const keyringStoredForm = object('A version that home keeps', { version: uint('Version'), ...leaf })
export const ownKeyringForm = object('My keyring', { keyring, envelopes, ...leaf })
export const keyringForm = object('A keyring by its id; opens to nobody but its unlockers', {
  keyring,
  envelopes,
})
export const unlockersForm = object('Ways to the keyring, as far as home can tell', {
  unlockers: list(
    object('', {
      id: id16('Id; its name is inside the keyring'),
      kind: oneOf('Kind', ['device', 'passkey', 'recovery-code', 'host']),
      addedMs: uint('ms UTC'),
    }),
    { max: 32 },
  ),
})

export const relayForm = object('Sealed terms, to be brought to their organisations', {
  packages: list(
    object('', {
      to: orgText,
      g: id16('Grant'),
      role: oneOf('Which end', ['custodian', 'grantee']),
      sealed: bytes('Sealed to it', { max: 320 * 1024 }),
    }),
    { min: 1, max: 16 },
  ),
})
export const relayedForm = object('How that went, in the same order', {
  results: list(
    object('', {
      to: orgText,
      role: oneOf('Which end', ['custodian', 'grantee']),
      delivered: bool('Whether it was taken'),
      answer: optional(bytes('What it answered', { max: 64 * 1024 })),
      code: optional(text('Why not', { max: 64 })),
      detail: optional(text('Why not, for people', { max: 1_024 })),
    }),
    { max: 16 },
  ),
})

export const proofingForm = object('How the person was identified', {
  kind: oneOf('Evidence', ['id-document', 'national-eid', 'in-person']),
  hash: optional(key32('Hash of the evidence on file')),
})

export const claimForm = object('A claim of a hosted account', {
  code: codeText,
  request: signedForm('Claim request, signed by the device', 4_096),
})
export const claimedForm = object('The account, for the device alone', {
  reply: signedForm('Claim reply', 4_096),
  keyring,
})
export const deletionForm = object('The host’s copies are gone', {
  receipt: signedForm('Receipt, kind deletion', 4_096),
})
