/** A range of a content, every row of it held against the checksum it was written with. */
import { crc32 } from 'node:zlib';
import { CHUNK_OCTETS } from './content-writer.ts';
import type { Row, Statement } from './engine.ts';
import { StoreError } from './ports.ts';
import type { Queries } from './queries.ts';
import { number, octetsOf } from './rows.ts';

type Ask = (statement: Statement) => Promise<readonly Row[]>;

export async function readRange(id: string, from: number, length: number, queries: Queries, ask: Ask) {
  const [row] = await ask(queries.octets(id));
  if (row === undefined) throw new StoreError('failed', `content ${id} is not there`);
  const size = number(row, 'size');
  const start = Math.min(Math.max(from, 0), size);
  const end = Math.min(Math.max(from + length, start), size);
  const whole = octetsOf(row, 'octets');
  if (whole !== undefined) return proved(id, row, whole, size).subarray(start, end);
  if (start === end) return Buffer.alloc(0);
  const out = Buffer.alloc(end - start);
  const firstAt = start - (start % CHUNK_OCTETS);
  let at = firstAt;
  for (const chunk of await ask(queries.chunks(id, firstAt, end))) {
    const octets = proved(id, chunk, octetsOf(chunk, 'octets') ?? new Uint8Array(), Math.min(CHUNK_OCTETS, size - at));
    if (number(chunk, 'at') !== at) break;
    const skipped = Math.max(start - at, 0);
    out.set(octets.subarray(skipped, end - at), at + skipped - start);
    at += octets.length;
  }
  if (at < end) throw corrupt(id, `a row of it is missing at octet ${at}`);
  return out;
}

function proved(id: string, row: Row, octets: Uint8Array, length: number): Uint8Array {
  if (octets.length !== length) throw corrupt(id, `a row has ${octets.length} octets instead of ${length}`);
  if (crc32(octets) !== number(row, 'crc')) throw corrupt(id, 'the checksum of a row does not hold');
  return octets;
}

function corrupt(id: string, why: string): StoreError {
  return new StoreError('corrupt', `content ${id} is not what was written: ${why}; the disk or a backup is to blame`);
}
