/**
 * Source of unpredictable bytes, always injected: `@salus/host/system` has the real one, its twin a seeded one.
 * Returns a fresh array of exactly `lengthBytes`.
 */
export interface Random {
  (lengthBytes: number): Uint8Array
  /**
   * Set only by the adapter that reads the operating system's generator. Sealing may then let the
   * platform's own key encapsulation draw from that same generator, which is many times faster than
   * the repeatable form it uses otherwise.
   */
  readonly operatingSystem?: true
}
