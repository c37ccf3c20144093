/** PLAIN (RFC 4616): one message, `[authzid] NUL authcid NUL password`. */
import { EMPTY } from '../../base/index.ts';
import { type AuthAnswer, type SaslServer, type SaslStep, SYNTAX } from './mechanism.ts';
import { askForPassword } from './password.ts';

export class PlainServer implements SaslServer {
  #user = '';

  start(initial: Buffer | undefined): SaslStep {
    return initial === undefined ? { kind: 'challenge', octets: EMPTY } : this.respond(initial);
  }

  respond(octets: Buffer): SaslStep {
    const first = octets.indexOf(0);
    const second = octets.indexOf(0, first + 1);
    if (first < 0 || second < 0 || octets.includes(0, second + 1)) return SYNTAX;
    const wanted = octets.subarray(0, first);
    const step = askForPassword('PLAIN', wanted, octets.subarray(first + 1, second), octets.subarray(second + 1));
    if (step.kind === 'ask') this.#user = step.question.user;
    return step;
  }

  answered(answer: AuthAnswer): SaslStep {
    return answer.kind === 'accepted' ? { kind: 'done', user: this.#user } : SYNTAX;
  }
}
