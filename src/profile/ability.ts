/**
 * Whether a callout server has a service, asked before there is a mail: an ability query for the profile (RFC 4037, sections 11.20
 * and 11.21) that names services (docs/spec/opes-smtp.md, section 5.6). A server that does not know the parameter answers
 * for the profile alone, which says nothing of a service.
 */
import {
  type Ability,
  atomText,
  isList,
  isStructure,
  type Named,
  type Structure,
  structure,
  UNSUPPORTED,
  uriOf,
  writeNamed,
} from '../ocp/index.ts';
import { type Cause, causeOf } from './cause.ts';
import { RECEIVER_URI, SENDER_URI } from './parts.ts';
import { makeService, serviceUris } from './services.ts';

/** The query for a service of this URI: the feature and the named lines of AQ. */
export function serviceQuery(uri: string): { readonly feature: Structure; readonly block: string } {
  return { feature: structure([RECEIVER_URI]), block: writeNamed('Services', [makeService(uri)]) };
}

const SUPPORTED: Ability = { supported: true, block: '' };
const SERVICE_UNKNOWN: Ability = { supported: false, block: writeNamed('Cause', 'service-unknown' satisfies Cause) };

/** What a server says to AQ; `has` is asked of the services that the query names, in order, up to the first it has not. */
export function abilityOf(feature: Structure, named: Named, has: (uri: string) => boolean): Ability {
  const profile = uriOf(feature);
  if (profile !== RECEIVER_URI && profile !== SENDER_URI) return UNSUPPORTED;
  return servicesOf(named).every(has) ? SUPPORTED : SERVICE_UNKNOWN;
}

/** Why AA says no; `undefined` where it says yes, or gives no cause we know. */
export function causeOfInability(supported: boolean, named: Named): Cause | undefined {
  const cause = supported ? undefined : atomText(named.get('Cause'));
  return cause === undefined ? undefined : causeOf({ cause });
}

/** A parameter of another form is none: the query is about the profile then. */
function servicesOf(named: Named): readonly string[] {
  const value = named.get('Services');
  return isList(value) && value.every(isStructure) ? serviceUris(value) : [];
}
