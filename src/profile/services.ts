/** Services as OCP names them: structures whose first value is the URI (RFC 4037, section 10.6). */
import { NO_NAMED, type Structure, uriOf, type Value } from '../ocp/index.ts';

/**
 * A service for a group or for the `Services` of an application message.
 * @example
 * makeService('https://mail.example.com/opes/banner');
 */
export function makeService(uri: string, parameters?: ReadonlyMap<string, Value>): Structure {
  return { anonymous: [uri], named: parameters ?? NO_NAMED };
}

/** The URIs of `services`, in order; one without a URI is the empty string, which names nothing. */
export function serviceUris(services: readonly Structure[]): readonly string[] {
  return services.map(uriOf);
}
