/** What PLAIN and LOGIN have in common: a name and a password as they came, and the question made of them. */
import {
  type AuthQuestion,
  DENIED,
  isNameSized,
  isPasswordSized,
  type Mechanism,
  readUtf8,
  type SaslStep,
  SYNTAX,
} from './mechanism.ts';
import { saslprep } from './saslprep.ts';

/** `[authzid] NUL authcid NUL password` names who one wants to be, too: only oneself here. */
export function askForPassword(mechanism: Mechanism, wanted: Buffer, name: Buffer, password: Buffer): SaslStep {
  if (!isNameSized(name) || !isPasswordSized(password)) return SYNTAX;
  const texts = [name, password, wanted].map(readUtf8);
  if (texts.includes(undefined)) return SYNTAX;
  const [user, secret, authzid] = texts.map((text) => saslprep(text ?? ''));
  // Both may have become empty: what SASLprep maps to nothing is no name.
  if (user === undefined || user === '' || secret === undefined || secret === '') return DENIED;
  if (authzid !== '' && authzid !== user) return DENIED;
  const question: AuthQuestion = { kind: 'password', mechanism, user, password: secret };
  return { kind: 'ask', question };
}
