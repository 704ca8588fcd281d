import type { LooseResource } from './types.ts'

/**
 * Whose a resource is (protocol §2, Owner).
 * `patient`: `name` is `Patient/<id>` where it is on this server, else the reference as written.
 */
export type Owner =
  | { readonly kind: 'patient'; readonly name: string }
  | { readonly kind: 'directory' }
  | { readonly kind: 'organisation'; readonly reason: 'several-patients' | 'unnamed-patient' }

export declare function ownerOf(resource: LooseResource, ownerOfTarget?: (typeAndId: string) => Owner | undefined): Owner
