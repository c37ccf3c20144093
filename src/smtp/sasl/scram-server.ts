/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel binding:
 *
 *     C: n,,n=user,r=CLIENT                      gs2-header, client-first-message-bare
 *     S: r=CLIENTSERVER,s=SALT,i=4096
 *     C: c=biws,r=CLIENTSERVER,p=PROOF           `c` repeats the gs2-header
 *     S: v=SIGNATURE                             in SMTP as a challenge, answered by an empty line (RFC 4954, 4)
 *
 * `y` (the client could bind and believes that we cannot) is right, for no `-PLUS` mechanism is announced; `p` is refused.
 */
import { decodeBase64 } from './base64.ts';
import { type AuthAnswer, DENIED, isNameSized, readUtf8, type SaslServer, type SaslStep, SYNTAX } from './mechanism.ts';
import { saslprep } from './saslprep.ts';

/** RFC 5802, 7: an attribute value of a client's first message, then optional extensions, of which we know none. */
const CLIENT_FIRST = /^([ny]),(?:a=([^,]*))?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,([^,]=[^,]*))*)$/;
const CLIENT_FINAL = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^,]=[^,]*)*),p=([A-Za-z0-9+/=]+)$/;

/** SHA-256. */
const PROOF_OCTETS = 32;

type State =
  | { readonly at: 'start' }
  | { readonly at: 'salt' | 'proof' | 'signature' }
  | { readonly at: 'final'; readonly nonce: string; readonly serverFirst: string };

export class ScramServer implements SaslServer {
  #state: State = { at: 'start' };
  #user = '';
  #clientNonce = '';
  #gs2Header = '';
  /** client-first-message-bare. */
  #clientFirst = '';

  start(initial: Buffer | undefined): SaslStep {
    return initial === undefined ? { kind: 'challenge', octets: Buffer.alloc(0) } : this.respond(initial);
  }

  respond(octets: Buffer): SaslStep {
    switch (this.#state.at) {
      case 'start':
        return this.#recvFirst(octets);
      case 'final':
        return this.#recvFinal(octets, this.#state.nonce, this.#state.serverFirst);
      case 'signature':
        return octets.length === 0 ? { kind: 'done', user: this.#user } : SYNTAX;
      case 'salt':
      case 'proof':
        return SYNTAX;
    }
  }

  answered(answer: AuthAnswer): SaslStep {
    const { at } = this.#state;
    if (answer.kind === 'salted' && at === 'salt') {
      const nonce = this.#clientNonce + answer.nonce;
      const serverFirst = `r=${nonce},s=${answer.salt.toString('base64')},i=${answer.iterations}`;
      this.#state = { at: 'final', nonce, serverFirst };
      return { kind: 'challenge', octets: Buffer.from(serverFirst) };
    }
    if (answer.kind === 'proven' && at === 'proof') {
      this.#state = { at: 'signature' };
      return { kind: 'challenge', octets: Buffer.from(`v=${answer.signature.toString('base64')}`) };
    }
    return SYNTAX;
  }

  #recvFirst(octets: Buffer): SaslStep {
    const text = readUtf8(octets);
    const m = text === undefined ? null : CLIENT_FIRST.exec(text);
    if (text === undefined || m === null) return SYNTAX;
    const [, , wanted = '', bare = '', name = '', nonce = ''] = m;
    const user = readName(name);
    const authzid = wanted === '' ? '' : readName(wanted);
    if (user === undefined || authzid === undefined) return SYNTAX;
    const prepared = saslprep(user);
    if (prepared === undefined || prepared === '') return DENIED;
    if (authzid !== '' && saslprep(authzid) !== prepared) return DENIED;
    this.#user = prepared;
    this.#clientNonce = nonce;
    this.#clientFirst = bare;
    this.#gs2Header = text.slice(0, text.length - bare.length);
    this.#state = { at: 'salt' };
    return { kind: 'ask', question: { kind: 'salt', user: prepared } };
  }

  #recvFinal(octets: Buffer, nonce: string, serverFirst: string): SaslStep {
    const m = CLIENT_FINAL.exec(octets.toString('latin1'));
    if (m === null) return SYNTAX;
    const [, withoutProof = '', binding = '', theirNonce = '', proofText = ''] = m;
    const proof = decodeBase64(proofText);
    if (proof?.length !== PROOF_OCTETS) return SYNTAX;
    // Who changed the header on the way (a downgrade) or answers another challenge is refused before a key is looked at.
    const header = decodeBase64(binding);
    if (header === undefined || !header.equals(Buffer.from(this.#gs2Header)) || theirNonce !== nonce) return DENIED;
    this.#state = { at: 'proof' };
    const authMessage = Buffer.from(`${this.#clientFirst},${serverFirst},${withoutProof}`);
    return { kind: 'ask', question: { kind: 'proof', user: this.#user, authMessage, proof } };
  }
}

/** RFC 5802, 5.1: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand there. */
function readName(text: string): string | undefined {
  if (!isNameSized(Buffer.from(text)) || /=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
