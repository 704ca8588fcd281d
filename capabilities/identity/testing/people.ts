import { AppError } from '@salus/core'
import { deviceKeys, newDevice } from '@salus/keys'
import { type Connection, sendForJson } from '@salus/sdk'
import { createAccount, enrolAt, type Person } from '../src/client/index.ts'
import type { TestNetwork } from './network.ts'

export const proofing = { kind: 'id-document' } as const

/** A code from an organisation's desk for one of its patients. */
export async function staffCode(
  net: TestNetwork,
  org: string,
  patient: string,
  path = '/staff/enrolment-codes',
): Promise<{ code: string; account: string }> {
  const desk = net.org(org).staff()
  return (await sendForJson(desk, 'POST', path, { json: { patient, proofing } })) as {
    code: string
    account: string
  }
}

/** A person with an account at home `a`, enrolled at these organisations as `Patient/<name>`. */
export async function newPerson(
  net: TestNetwork,
  name: string,
  { at = ['a'], withRecoveryCode = false }: { at?: readonly string[]; withRecoveryCode?: boolean } = {},
): Promise<{
  readonly person: Person
  session(org: string): Connection
  readonly recoveryCode: string | undefined
}> {
  const { context } = net
  const home = at[0] as string
  const device = deviceKeys(newDevice(context.random))
  const made = await createAccount(context, { device, deviceLabel: 'Phone', home, withRecoveryCode })
  let { person } = made
  const sessions: Record<string, Connection> = {}
  for (const org of at) {
    net.org(org).addPatient(`Patient/${name}`)
    const { code } = await staffCode(net, org, `Patient/${name}`)
    const enrolled = await enrolAt(net.connectionTo(org), {
      org,
      code,
      person,
      context,
      ...(sessions[home] === undefined ? {} : { home: sessions[home] }),
    })
    person = enrolled.person
    sessions[org] = enrolled.session
  }
  return { person, session: (org) => sessions[org] as Connection, recoveryCode: made.recoveryCode }
}

/** The code of the AppError that work fails with; undefined when it works. */
export async function refused(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return error.code
  }
}
