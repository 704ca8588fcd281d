import { sha256 } from '@salus/core'
import type { Sql } from '@salus/host'
import type { PrepareOutput } from '@salus/records'
import type { ObjectStore } from '@salus/vault'

/**
 * The store that the sealed one is compared with: the same files, the same preparation, the same vault and database,
 * but plain JSON, plain labels and plain search values, no keys, no tokens, no log. It exists only here.
 */
export class PlainStore {
  readonly #custody: Sql
  readonly #index: Sql
  readonly #vault: Pick<ObjectStore, 'putMany'>
  readonly #tokenIds = new Map<string, number>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ custody, index, vault }: { custody: Sql; index: Sql; vault: Pick<ObjectStore, 'putMany'> }) {
    this.#custody = custody
    this.#index = index
    this.#vault = vault
    custody.exec(
      `CREATE TABLE plain_version (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL,
         owner TEXT NOT NULL, address BLOB NOT NULL, labels TEXT NOT NULL, current INTEGER NOT NULL)`,
    )
    custody.exec('CREATE UNIQUE INDEX plain_version_id ON plain_version (id, version)')
    custody.exec('CREATE INDEX plain_version_owner ON plain_version (owner)')
    // Values once, rows by number: what a store that need not hide them would do.
    index.exec('CREATE TABLE plain_value (value TEXT PRIMARY KEY, token INTEGER NOT NULL) WITHOUT ROWID')
    index.exec(
      'CREATE TABLE plain_token (token INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (token, seq)) WITHOUT ROWID',
    )
  }

  async store(output: PrepareOutput): Promise<number> {
    const mine = this.#turn.then(() => this.#store(output))
    this.#turn = mine
    return mine
  }

  async #store({ prepared }: PrepareOutput): Promise<number> {
    const find = this.#custody.prepare('SELECT MAX(version) AS version FROM plain_version WHERE id = ?')
    const fresh = prepared.filter(
      ({ recordId }) => (find.get<{ version: number | null }>(recordId)?.version ?? 0) === 0,
    )
    const objects = fresh.map(({ json }) => ({ address: sha256(json), bytes: json }))
    await this.#vault.putMany(objects)
    const insert = this.#custody.prepare('INSERT INTO plain_version VALUES (NULL, ?, 1, ?, ?, ?, 1)')
    const seqs = this.#custody.transaction(() =>
      fresh.map(({ recordId, owner, type, compartment, codes, fromMs, toMs }, at) => {
        const name = owner.kind === 'patient' ? owner.name : owner.kind
        const labels = JSON.stringify({ type, compartment, codes, fromMs, toMs })
        return insert.run(recordId, name, (objects[at] as { address: Uint8Array }).address, labels).lastId
      }),
    )
    this.#index.transaction(() => {
      const add = this.#index.prepare('INSERT OR IGNORE INTO plain_token VALUES (?, ?)')
      for (const [at, { tokens }] of fresh.entries())
        for (const token of tokens) add.run(this.#tokenId(token), seqs[at] as number)
    })
    return fresh.length
  }

  #tokenId(value: string): number {
    const known = this.#tokenIds.get(value)
    if (known !== undefined) return known
    const token = this.#tokenIds.size + 1
    this.#tokenIds.set(value, token)
    this.#index.prepare('INSERT INTO plain_value VALUES (?, ?)').run(value, token)
    return token
  }
}
