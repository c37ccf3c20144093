import { encodeXtext } from '../../src/smtp/dsn.ts';
import type { AgentUris } from '../../src/smtp/index.ts';

/** The value of OPESBYPASS as a client writes it (docs/spec/opes-smtp.md, section 12.3); at least one URI. */
export function writeOpesBypass(asked: AgentUris): string {
  return asked === '*' ? '*' : asked.map((uri) => encodeXtext(uri).replaceAll(',', '+2C')).join(',');
}
