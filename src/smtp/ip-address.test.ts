import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'vitest';
import { ipFamily } from './ip-address.ts';

const TEXTS = [
  '192.0.2.1 0.0.0.0 255.255.255.255 256.0.0.1 01.2.3.4 1.2.3 127.1 1.2.3.4.5 0x7f.0.0.1 1..2.3',
  ':: ::1 2001:db8::1 2001:DB8:0:0:0:0:0:1 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1::2::3 ::ffff:192.0.2.1',
  '1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 ::1.2.3.4 1.2.3.4:: 12345:: g:: : ::: :1 1: 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8',
  '1:2:3:4::5:6:7:8 ::ffff:1.2.3 x',
].flatMap((line) => line.split(' '));

for (const text of ['', ...TEXTS]) {
  test(`"${text}" is an address where Node says so`, () => {
    const node = isIP(text);
    assert.equal(ipFamily(text), node === 4 ? 'ipv4' : node === 6 ? 'ipv6' : undefined);
  });
}
