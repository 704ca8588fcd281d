import { requestHashIn } from '@salus/audit'
import {
  Custodian,
  consentRoutes,
  Grantee,
  GrantStore,
  httpCustodianTransport,
  Leases,
  pushRecall,
} from '@salus/consent/service'
import { AppError, fromUtf8, type SignedForm, verifierKey } from '@salus/core'
import { decodeBody } from '@salus/ledger'
import { factLogOrigin } from '@salus/log'
import { chart } from '@salus/records'
import { parseJson, serialise } from '@salus/records/fhir'
import { connect } from '@salus/sdk'
import { hasRole, json, type OrgMessages, type Route, type Staff } from '@salus/server'
import type { NodeAccessLog } from './access-log.ts'
import type { NodeConfig, NodeHost } from './host.ts'
import type { IdentityPart } from './identity-part.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { Organisation } from './organisation.ts'
import type { RecordsPart } from './records-part.ts'
import { isRequiredElement } from './required-elements.ts'
import type { Stores } from './stores.ts'
