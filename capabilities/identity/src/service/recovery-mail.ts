import type { SignedForm } from '@salus/core'
import type { Sql, SqlRow } from '@salus/host'

/** Where requests wait for guardians and answers for the new device. Both are sealed or say nothing of a person. */
export class RecoveryMail {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
    sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_recovery_mail (
         r BLOB NOT NULL, position INTEGER NOT NULL, request BLOB NOT NULL, requestSig BLOB NOT NULL,
         reply BLOB, replySig BLOB, PRIMARY KEY (r, position)) WITHOUT ROWID`,
    )
  }

  /** The newest request counts; an answer to an earlier one goes. */
  putRequest(r: Uint8Array, index: number, request: SignedForm): void {
    this.#sql
      .prepare('INSERT OR REPLACE INTO identity_recovery_mail VALUES (?, ?, ?, ?, NULL, NULL)')
      .run(r, index, request.bytes, request.sig)
  }

  request(r: Uint8Array, index: number): SignedForm | undefined {
    const row = this.#sql
      .prepare('SELECT * FROM identity_recovery_mail WHERE r = ? AND position = ?')
      .get(r, index)
    return row === undefined ? undefined : signedIn(row, 'request')
  }

  putReply(r: Uint8Array, index: number, reply: SignedForm): void {
    this.#sql
      .prepare('UPDATE identity_recovery_mail SET reply = ?, replySig = ? WHERE r = ? AND position = ?')
      .run(reply.bytes, reply.sig, r, index)
  }

  replies(r: Uint8Array): { readonly index: number; readonly reply: SignedForm }[] {
    return this.#sql
      .prepare('SELECT * FROM identity_recovery_mail WHERE r = ? AND reply IS NOT NULL ORDER BY position')
      .all(r)
      .map((row) => ({ index: row['position'] as number, reply: signedIn(row, 'reply') }))
  }

  clear(r: Uint8Array): void {
    this.#sql.prepare('DELETE FROM identity_recovery_mail WHERE r = ?').run(r)
  }
}

function signedIn(row: SqlRow, name: 'request' | 'reply'): SignedForm {
  return { bytes: row[name] as Uint8Array, sig: row[`${name}Sig`] as Uint8Array }
}
