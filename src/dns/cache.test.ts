import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Cache } from './cache.ts';

test('nothing is served at or behind its end', () => {
  let nowMs = 0;
  const cache = new Cache<string>(() => nowMs, 10, 10);
  cache.keep('a', 'A', 1000);
  nowMs = 999;
  assert.equal(cache.find('a'), 'A');
  nowMs = 1000;
  assert.equal(cache.find('a'), undefined);
  assert.equal(cache.size, 0);
});

test('beyond its number the least used goes, and one found counts as used', () => {
  const cache = new Cache<string>(() => 0, 2, 100);
  cache.keep('a', 'A', 1);
  cache.keep('b', 'B', 1);
  cache.find('a');
  cache.keep('c', 'C', 1);
  assert.deepEqual([cache.find('a'), cache.find('b'), cache.find('c')], ['A', undefined, 'C']);
});

test('beyond its weight others go, and what is too heavy alone is not kept', () => {
  const cache = new Cache<string>(() => 0, 100, 10);
  cache.keep('a', 'A', 1, 4);
  cache.keep('b', 'B', 1, 4);
  cache.keep('c', 'C', 1, 7);
  assert.deepEqual([cache.size, cache.weight], [1, 7]);
  cache.keep('d', 'D', 1, 11);
  assert.deepEqual([cache.find('c'), cache.find('d')], ['C', undefined]);
});

test('a new value takes the place of the old one, with its weight and its time', () => {
  let nowMs = 0;
  const cache = new Cache<string>(() => nowMs, 100, 10);
  cache.keep('a', 'old', 100, 9);
  cache.keep('a', 'new', 10, 2);
  assert.deepEqual([cache.find('a'), cache.size, cache.weight], ['new', 1, 2]);
  nowMs = 10;
  assert.deepEqual([cache.find('a'), cache.weight], [undefined, 0]);
  cache.keep('b', 'B', 100);
  cache.keep('b', 'no time', 0);
  assert.equal(cache.find('b'), undefined);
});
