export { type TestNetwork, type TestOrganisation, testNetwork } from './network.ts'
export { newPerson, proofing, staffCode } from './people.ts'
