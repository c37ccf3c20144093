/**
 * LOGIN (draft-murchison-sasl-login, obsolete and everywhere): the server asks for the name, then for the password. Many
 * clients send the name as an initial response.
 */
import { EMPTY } from '../../base/index.ts';
import { type AuthAnswer, type SaslServer, type SaslStep, SYNTAX } from './mechanism.ts';
import { askForPassword } from './password.ts';

/** Some clients look at the words, so they are the usual ones. */
const ASK_NAME: SaslStep = { kind: 'challenge', octets: Buffer.from('Username:') };
const ASK_PASSWORD: SaslStep = { kind: 'challenge', octets: Buffer.from('Password:') };

export class LoginServer implements SaslServer {
  #name: Buffer | undefined;
  #user = '';

  start(initial: Buffer | undefined): SaslStep {
    return initial === undefined ? ASK_NAME : this.respond(initial);
  }

  respond(octets: Buffer): SaslStep {
    if (this.#name === undefined) {
      this.#name = octets;
      return ASK_PASSWORD;
    }
    const step = askForPassword('LOGIN', EMPTY, this.#name, octets);
    if (step.kind === 'ask') this.#user = step.question.user;
    return step;
  }

  answered(answer: AuthAnswer): SaslStep {
    return answer.kind === 'accepted' ? { kind: 'done', user: this.#user } : SYNTAX;
  }
}
