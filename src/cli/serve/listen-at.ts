/** Where `opes serve` listens, as written on the command line. */
import { readFileSync } from 'node:fs';
import { type Endpoint, parseEndpoint } from '../../ocp/net/index.ts';
import { EXIT, Failure } from '../exit.ts';

export interface TlsFiles {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/** `HOST:PORT`, `ocp://HOST:PORT`, `ocp+tls://HOST:PORT`, `unix:/path` or `ocp+unix:/path`. */
export function listenAt(text: string, files: TlsFiles): Endpoint {
  const full = text.startsWith('unix:') ? `ocp+${text}` : text.startsWith('ocp') ? text : `ocp://${text}`;
  const endpoint = parseEndpoint(full, readTls(files));
  if ('error' in endpoint) throw new Failure(`--listen ${text}: ${endpoint.error}`, EXIT.usage);
  if (endpoint.kind === 'tls' && (files.cert === undefined || files.key === undefined)) {
    throw new Failure('--listen with ocp+tls:// needs --cert and --key', EXIT.usage);
  }
  return endpoint;
}

function readTls({ cert, key, ca }: TlsFiles): { cert?: Buffer; key?: Buffer; ca?: Buffer } {
  return {
    ...(cert !== undefined && { cert: readPem('--cert', cert) }),
    ...(key !== undefined && { key: readPem('--key', key) }),
    ...(ca !== undefined && { ca: readPem('--ca', ca) }),
  };
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure(
      `${option} ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
      EXIT.usage,
    );
  }
}
