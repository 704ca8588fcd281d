import { bytes, object, oneOf, optional, text, uint } from '@salus/core'
import { defineContract } from '@salus/ledger'

/** Between the start of a recovery and the moment anybody may help it along. Protocol §6. */
export const RECOVERY_DELAY_MS = 72 * 3_600_000

const h = bytes('HMAC(salt, credential)', { length: 32 })
const r = bytes('Recovery: first 16 B of H(cancelKey)', { length: 16 })
const key = (doc: string) => bytes(doc, { length: 32 })
const atMs = optional(uint('Evaluate at this time, ms UTC; the time of the head if left out'))
const org = text('Organisation', { min: 1, max: 63 })

const credential = {
  issuer: org,
  status: oneOf('Status', ['active', 'suspended', 'ended']),
  sinceMs: uint('Status since, block time, ms UTC'),
}
const recovery = {
  cancelKey: key('Key that can cancel, Ed25519'),
  c: key('Commitment to how the account is recovered'),
  newKey: optional(key('Key of the device that recovers, Ed25519')),
  home: optional(org),
  startedMs: optional(uint('Started, block time, ms UTC')),
  readyMs: optional(uint('Complete from this time on unless cancelled, ms UTC')),
}

/** Status of practitioners' credentials, and recoveries of accounts; whose they are is not here. Protocol §§6, 11. */
export const identitySchema = defineContract({
  name: 'identity',
  version: 1,
  doc: 'Status of practitioners’ credentials, and recoveries of accounts with their delay.',
  rejects: {
    exists: 100,
    notFound: 101,
    notSigner: 102,
    wrongId: 103,
    notMember: 104,
    notIssuer: 105,
    ended: 106,
    notArmed: 107,
    notStarted: 108,
    complete: 109,
    firstStatus: 110,
  },
  tables: {
    credentials: { doc: 'Credentials by commitment', key: [h], row: object('A credential', credential) },
    recoveries: { doc: 'Recoveries by id', key: [r], row: object('A recovery', recovery) },
  },
  events: {
    credentialSet: { doc: 'A credential’s status was set', data: object('', { h }) },
    recoveryArmed: { doc: 'A recovery was armed', data: object('', { r }) },
    recoveryStarted: { doc: 'A recovery was started: devices watch for their r', data: object('', { r }) },
    recoveryCancelled: { doc: 'A recovery was cancelled and is armed again', data: object('', { r }) },
  },
  calls: {
    setCredential: {
      doc: 'Set the status of a credential. Signed by its issuer; the first setting makes the signer the issuer.',
      input: object('', { h, status: credential.status }),
    },
    armRecovery: {
      doc: 'Prepare a recovery. Signed by cancelKey.',
      input: object('', { r, cancelKey: recovery.cancelKey, c: recovery.c }),
    },
    startRecovery: {
      doc:
        'Start an armed recovery for a new device, or begin a started one again with a fresh delay, through the same ' +
        'home. Signed by newKey and by the home organisation.',
      input: object('', { r, newKey: key('Key of the new device, Ed25519') }),
    },
    cancelRecovery: {
      doc: 'Stop a started recovery that is not complete; it is armed again. Signed by cancelKey.',
      input: object('', { r }),
    },
  },
  queries: {
    credential: {
      doc: 'A credential’s status.',
      input: object('', { h }),
      output: optional(object('A credential', credential)),
    },
    recovery: {
      doc: 'A recovery, evaluated.',
      input: object('', { r, atMs }),
      output: optional(
        object('A recovery at a time', {
          ...recovery,
          state: oneOf('State at the asked time', ['armed', 'started', 'complete']),
        }),
      ),
    },
  },
})
