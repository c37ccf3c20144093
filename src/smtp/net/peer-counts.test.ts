import assert from 'node:assert/strict';
import { test } from 'vitest';
import { plainAddress } from '../ip-address.ts';
import { PeerCounts, peerOf } from './peer-counts.ts';
import { RateFloor } from './rate-floor.ts';

test('each peer has its own count, and peers that are gone are forgotten', () => {
  const counts = new PeerCounts(2);
  assert.deepEqual([counts.add('a'), counts.add('a'), counts.add('a'), counts.add('b')], [true, true, false, true]);
  counts.remove('a');
  assert.equal(counts.add('a'), true);
  for (const peer of ['a', 'a', 'b', 'b', 'c']) counts.remove(peer);
  assert.equal(counts.size, 0);
});

const addresses: readonly (readonly [string, string, string])[] = [
  ['192.0.2.1', '192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1', '192.0.2.1'],
  ['::FFFF:a00:1', '10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8::1', '2001:DB8::1', '2001:db8:0:0::/64'],
  ['::1', '::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80::1', 'fe80:0:0:0::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['', '', ''],
];

for (const [given, plain, peer] of addresses) {
  test(`${given} is ${plain}, counted as ${peer}`, () => {
    assert.equal(plainAddress(given), plain);
    assert.equal(peerOf(plain), peer);
    assert.equal(peerOf(given), peer);
  });
}

test('the floor is an average over a window, and windows in which we held back do not count', () => {
  const floor = new RateFloor(10, 2000);
  floor.start();
  floor.came(19);
  assert.equal(floor.isMet, false);
  floor.came(1);
  assert.equal(floor.isMet, true);
  floor.start();
  assert.equal(floor.isMet, false);
  floor.held();
  assert.equal(floor.isMet, true);
});
