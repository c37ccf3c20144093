/** The server's side of AUTH for the sink, written from the RFCs alone: PLAIN, LOGIN and SCRAM-SHA-256 for one user. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

export interface SinkUser {
  readonly user: string;
  readonly password: string;
  /** SCRAM: a signature that proves nothing. */
  readonly lies?: boolean;
}

/** Ask for a line: `ask` sends 334 with this text and gives the answer's octets. */
type Ask = (challenge: string) => Promise<Buffer>;

const hmac = (key: Buffer, text: string | Uint8Array): Buffer => createHmac('sha256', key).update(text).digest();

export async function authenticate(
  { user, password, lies }: SinkUser,
  mechanism: string,
  initial: Uint8Array | undefined,
  ask: Ask,
): Promise<boolean> {
  switch (mechanism) {
    case 'PLAIN':
      return Buffer.from(initial ?? (await ask(''))).equals(Buffer.from(`\0${user}\0${password}`));
    case 'LOGIN': {
      const name = await ask('Username:');
      const word = await ask('Password:');
      return name.toString() === user && word.toString() === password;
    }
    case 'SCRAM-SHA-256': {
      const first = Buffer.from(initial ?? (await ask(''))).toString();
      const [, bare = '', name, nonce] = /^n,,(n=([^,]*),r=([^,]+))$/.exec(first) ?? [];
      const salt = randomBytes(16);
      const serverFirst = `r=${nonce}${randomBytes(9).toString('base64')},s=${salt.toString('base64')},i=4096`;
      const last = (await ask(serverFirst)).toString();
      const [, withoutProof = '', proof = ''] = /^(c=biws,r=[^,]+),p=(.*)$/.exec(last) ?? [];
      const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
      const auth = `${bare},${serverFirst},${withoutProof}`;
      const clientKey = hmac(salted, 'Client Key');
      const signature = hmac(createHash('sha256').update(clientKey).digest(), auth);
      const expected = Buffer.from(clientKey.map((octet, i) => octet ^ (signature[i] ?? 0)));
      const given = Buffer.from(proof, 'base64');
      const isRight = name === user && given.length === 32 && timingSafeEqual(given, expected);
      if (!isRight) return false;
      const proven = lies === true ? randomBytes(32) : hmac(hmac(salted, 'Server Key'), auth);
      return (await ask(`v=${proven.toString('base64')}`)).length === 0;
    }
    default:
      return false;
  }
}
