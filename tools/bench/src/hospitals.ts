import {
  encodeTerms,
  grantArgs,
  sealForCustodian,
  sealForGrantee,
  signTermsLink,
  type Terms,
  withText,
} from '@salus/consent'
import { ledgerIdOf } from '@salus/consent/contract'
import type { Answered, Asker, Question } from '@salus/consent/service'
import { fromBase64url, fromHex, type SigningKey, signingKey } from '@salus/core'
import { systemNetwork, systemRandom } from '@salus/host/system'
import { createAccount, type DeviceContext, enrolAt, type Person } from '@salus/identity/client'
import { deviceKeys, linkKey, linkSub, newDevice } from '@salus/keys'
import { signBody } from '@salus/ledger'
import { type Connection, connect, execute, sendForJson, withToken } from '@salus/sdk'
import { Constellation } from '@salus/testing'
import type { BenchResource } from './bench-records.ts'

const A = 'hospital-a'
const B = 'hospital-b'
const HOUR_MS = 3_600_000
const LINES_PER_IMPORT = 1_000

/** A patient with a device, enrolled at both hospitals. */
export interface BenchPatient {
  readonly person: Person
  readonly atA: Connection
  readonly atB: Connection
}

/**
 * Two hospitals and a witness on loopback ports and a real disk, in this process: A holds the records and orders the
 * ledger, B asks for them. People and staff come to them over HTTP, as always.
 */
export class Hospitals {
  readonly net: Constellation
  readonly a: Connection
  readonly b: Connection
  readonly #adminA: Connection
  readonly #adminB: Connection
  readonly #asker: Asker
  readonly #context: DeviceContext

  private constructor(fields: {
    readonly net: Constellation
    readonly a: Connection
    readonly b: Connection
    readonly adminA: Connection
    readonly adminB: Connection
    readonly asker: Asker
  }) {
    this.net = fields.net
    this.a = fields.a
    this.b = fields.b
    this.#adminA = fields.adminA
    this.#adminB = fields.adminB
    this.#asker = fields.asker
    this.#context = { chainId: fromHex(this.net.genesisId), random: systemRandom, clock: this.net.clock }
  }

  static async open(dir: string): Promise<Hospitals> {
    const net = await Constellation.start({
      dir,
      members: [
        { org: A, name: 'Hospital A' },
        { org: B, name: 'Hospital B' },
      ],
      onBug: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
    })
    const network = systemNetwork()
    const a = connect({ url: net.urlOf(A), network })
    const b = connect({ url: net.urlOf(B), network })
    const admin = (org: string, connection: Connection): Connection =>
      withToken(connection, net.node(org).identity.staff.addFirstAdmin('Administrator', 24 * HOUR_MS).token)
    const adminB = admin(B, b)
    const clinician = (await sendForJson(adminB, 'POST', '/staff', {
      json: { name: 'Clinician', roles: ['clinician'] },
    })) as { readonly practitioner: string; readonly credential: string }
    const asker = {
      practitioner: clinician.practitioner,
      credential: fromBase64url(clinician.credential),
    }
    return new Hospitals({ net, a, b, adminA: admin(A, a), adminB, asker })
  }

  /** Registers a patient at both hospitals and enrols her with a new device. */
  async enrol(patient: BenchResource): Promise<BenchPatient> {
    await importLines(this.#adminA, [patient])
    await importLines(this.#adminB, [patient])
    const context = this.#context
    const { person } = await createAccount(context, {
      device: deviceKeys(newDevice(systemRandom)),
      deviceLabel: 'Phone',
      home: A,
      withRecoveryCode: false,
    })
    const name = `Patient/${patient.id}`
    const code = async (admin: Connection): Promise<string> => {
      const answer = await sendForJson(admin, 'POST', '/staff/enrolment-codes', {
        json: { patient: name, proofing: { kind: 'in-person' } },
      })
      return (answer as { readonly code: string }).code
    }
    const atA = await enrolAt(this.a, { org: A, code: await code(this.#adminA), person, context })
    const atB = await enrolAt(this.b, {
      org: B,
      code: await code(this.#adminB),
      person: atA.person,
      context,
      home: atA.session,
    })
    return { person: atB.person, atA: atA.session, atB: atB.session }
  }

  /** Imports records at A. */
  async importAtA(records: readonly BenchResource[]): Promise<void> {
    for (let from = 0; from < records.length; from += LINES_PER_IMPORT)
      await importLines(this.#adminA, records.slice(from, from + LINES_PER_IMPORT))
  }

  /** What a device does to grant B a look at A's laboratory results; done when B has accepted. Returns the grant's id. */
  async grant({ person, atA }: BenchPatient): Promise<Uint8Array> {
    const { chainId, clock } = this.#context
    const controller = signingKey(systemRandom(32))
    const link = linkKey(person.keyring, A) as SigningKey
    const salt = systemRandom(32)
    const terms = encodeTerms(this.#terms(controller, linkSub(person.keyring, B)))
    const { g } = grantArgs(terms, salt)
    const body = signBody({
      chainId,
      call: 'consent/grant',
      args: grantArgs(terms, salt),
      untilMs: clock.now() + 60_000,
      keys: [controller],
      random: systemRandom,
    })
    await execute(this.a, body)
    const sealing = (org: string) => ({
      to: this.net.node(org).organisation.seal.publicKey,
      chainId,
      g,
      random: systemRandom,
    })
    const toA = sealForCustodian(
      { v: 1, terms, salt, link: { key: link.publicKey, sig: signTermsLink(link, chainId, terms) } },
      sealing(A),
    )
    const toB = sealForGrantee({ v: 1, terms, salt }, sealing(B))
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
    const relayed = (await sendForJson(atA, 'POST', '/home/grants', {
      json: {
        packages: [
          { to: A, g: base64(g), role: 'custodian', sealed: base64(toA) },
          { to: B, g: base64(g), role: 'grantee', sealed: base64(toB) },
        ],
      },
    })) as { readonly results: readonly { readonly delivered: boolean; readonly detail?: string }[] }
    for (const { delivered, detail } of relayed.results)
      if (!delivered) throw new Error(`the grant was not taken: ${detail}`)
    return g
  }

  /** B's node asks A's and opens what it releases: the whole way of protocol §4, Release. */
  ask(g: Uint8Array, question: Question): Promise<Answered> {
    return this.net.node(B).consent.grantee.ask(g, question, this.#asker)
  }

  close(): Promise<void> {
    return this.net.close()
  }

  #terms({ publicKey }: SigningKey, sub: Uint8Array): Terms {
    const nowMs = this.#context.clock.now()
    return withText({
      v: 1,
      g: ledgerIdOf(publicKey),
      controller: publicKey,
      custodian: A,
      grantee: { org: B },
      sub,
      scope: { compartments: ['labs'] },
      purpose: 'TREAT',
      actions: ['read', 'search'],
      notBefore: nowMs - 60_000,
      notAfter: nowMs + HOUR_MS,
      lease: HOUR_MS / 2,
      rate: { requests: 10_000, versions: 1_000_000 },
      masks: [],
      conditions: [],
      showWithheld: false,
      minSuite: 1,
    })
  }
}

async function importLines(admin: Connection, records: readonly BenchResource[]): Promise<void> {
  const report = (await sendForJson(admin, 'POST', '/import?name=bench.ndjson', {
    raw: {
      type: 'application/fhir+ndjson',
      body: records.map((record) => JSON.stringify(record)).join('\n'),
    },
  })) as { readonly rejected: readonly { readonly message: string }[] }
  const [rejected] = report.rejected
  if (rejected !== undefined) throw new Error(`a record of the benchmark was rejected: ${rejected.message}`)
}
