export * from './block.ts'
export { builtinContracts } from './contracts/builtin.ts'
export {
  DEFAULT_PARAMS,
  type MemberForm,
  memberForm,
  type OrganisationKeys,
  organisationKeys,
  orgId,
  type ParamName,
  type Params,
  paramsForm,
} from './contracts/forms.ts'
export { governance } from './contracts/governance/schema.ts'
export * from './contracts/log/evidence.ts'
export { logIdOf } from './contracts/log/log.ts'
export { log } from './contracts/log/schema.ts'
export { organisations } from './contracts/organisations/schema.ts'
export * from './contracts/organisations/signers.ts'
export * from './genesis.ts'
export * from './ledger.ts'
export * from './runtime/define.ts'
export * from './runtime/descriptor.ts'
export { stateKey } from './runtime/keys.ts'
export * from './runtime/outcome.ts'
export * from './state/index.ts'
export * from './tx/body.ts'
export * from './tx/bundle.ts'
export * from './tx/codes.ts'
export * from './tx/limits.ts'
export * from './tx/verify.ts'
