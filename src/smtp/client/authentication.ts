/**
 * AUTH towards a next hop (RFC 4954): the mechanisms it offers and we know, best first, one SASL exchange each.
 *
 *     AUTH NAME [initial] --334 challenge--> response ... --235--> done
 *
 * Another mechanism is tried only where the hop says that it is this mechanism that will not do (504, 534), never behind a 535:
 * a wrong password stays wrong, and each try counts towards a lock.
 */
import { printable } from '../../base/index.ts';
import type { Reply } from '../reply.ts';
import {
  type Credentials,
  makeSaslClient,
  type SaslClient,
  type SaslCrypto,
  type SaslStep,
  usableMechanisms,
} from '../sasl/client.ts';
import { readBase64 } from '../sasl/scram-messages.ts';

export interface AuthenticationHost {
  write(command: string): void;
  /** PBKDF2; `derived` follows. */
  derive(password: string, salt: Buffer, iterations: number): void;
  onAuthenticated(): void;
  onAuthenticationFailed(why: string, reply?: Reply): void;
}

export class Authentication {
  readonly #host: AuthenticationHost;
  /** Those not yet tried. */
  readonly #clients: SaslClient[];
  #client: SaslClient | undefined;

  /** `offered`: what stands behind AUTH in the answer to EHLO. */
  constructor(credentials: Credentials, offered: string, crypto: SaslCrypto, host: AuthenticationHost) {
    this.#host = host;
    this.#clients = usableMechanisms(offered).map((mechanism) => makeSaslClient(mechanism, credentials, crypto));
  }

  start(): void {
    this.#try();
  }

  onReply(reply: Reply): void {
    const client = this.#client;
    if (client === undefined) return;
    if (reply.code === 334) {
      this.#onChallenge(reply, client);
    } else if (reply.code >= 200 && reply.code < 300) {
      if (client.mayEnd) this.#host.onAuthenticated();
      else this.#host.onAuthenticationFailed(`${client.mechanism}: a success without the server's proof`, reply);
    } else if ((reply.code === 504 || reply.code === 534) && this.#clients.length > 0) {
      this.#try();
    } else {
      this.#host.onAuthenticationFailed(`${client.mechanism}: ${reply.code} ${printable(reply.text.join(' '))}`, reply);
    }
  }

  /** What `host.derive` was asked for. */
  derived(salted: Buffer): void {
    const client = this.#client;
    if (client !== undefined) this.#go(client, client.derived(salted));
  }

  #try(): void {
    const client = this.#clients.shift();
    if (client === undefined) {
      this.#host.onAuthenticationFailed('the hop offers no AUTH mechanism that we know');
      return;
    }
    this.#client = client;
    const first = client.first();
    this.#host.write(`AUTH ${client.mechanism}${first === undefined ? '' : ` ${first.toString('base64')}`}\r\n`);
  }

  #onChallenge(reply: Reply, client: SaslClient): void {
    // LOGIN's prompts are not even base64 everywhere, and nobody reads them.
    const challenge = client.mechanism === 'LOGIN' ? Buffer.alloc(0) : readBase64(reply.text.join('\n'));
    if (challenge === undefined)
      this.#host.onAuthenticationFailed(`${client.mechanism}: a challenge that is no base64`);
    else this.#go(client, client.next(challenge));
  }

  #go(client: SaslClient, step: SaslStep): void {
    switch (step.kind) {
      case 'say':
        this.#host.write(`${step.octets.toString('base64')}\r\n`);
        return;
      case 'derive':
        this.#host.derive(step.password, step.salt, step.iterations);
        return;
      case 'bad':
        this.#host.onAuthenticationFailed(`${client.mechanism}: ${step.why}`);
        return;
    }
  }
}
