/** Certificates made for one test, by openssl: a root, an issuer below it, and what they issue. The folder goes with the test. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface MadeCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWishes {
  /** subjectAltName, such as `DNS:mx.example.com,IP:127.0.0.1`. */
  readonly names?: string;
  /** May issue others. */
  readonly isIssuer?: boolean;
  /** `YYYYMMDDhhmmssZ`; from 2020 to 2120 otherwise. */
  readonly until?: string;
  readonly from?: string;
  readonly rsa?: boolean;
}

export class TestCa {
  readonly #folder = mkdtempSync(join(tmpdir(), 'opes-ca-'));
  #made = 0;

  /** Signed by itself, or by `issuer`. */
  make(name: string, wishes: CertificateWishes = {}, issuer?: MadeCertificate): MadeCertificate {
    const at = (file: string) => join(this.#folder, `${this.#made}.${file}`);
    this.#made++;
    const algorithm = wishes.rsa === true ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const subject = ['-subj', `/CN=${name}`, '-nodes', '-keyout', at('key'), '-out', at('csr')];
    openssl('req', '-new', '-newkey', ...algorithm, ...subject);
    const names = wishes.names === undefined ? '' : `subjectAltName=${wishes.names}\n`;
    writeFileSync(at('ext'), `basicConstraints=critical,CA:${wishes.isIssuer === true ? 'TRUE' : 'FALSE'}\n${names}`);
    writeFileSync(at('index'), '');
    writeFileSync(at('ca.cnf'), caConfig(at));
    const { from = '20200101000000Z', until = '21200101000000Z' } = wishes;
    writeFileSync(at('by.pem'), issuer?.cert ?? '');
    writeFileSync(at('by.key'), issuer?.key ?? readFileSync(at('key')));
    const signer = issuer === undefined ? ['-selfsign'] : ['-cert', at('by.pem')];
    const dates = ['-startdate', from, '-enddate', until];
    const files = ['-keyfile', at('by.key'), '-in', at('csr'), '-out', at('pem'), '-extfile', at('ext')];
    openssl('ca', '-batch', '-notext', '-config', at('ca.cnf'), ...signer, ...dates, ...files);
    return { cert: readFileSync(at('pem'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

const caConfig = (at: (file: string) => string): string => `[ca]
default_ca = one
[one]
database = ${at('index')}
new_certs_dir = ${at('').slice(0, at('').lastIndexOf('/'))}
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
`;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
