import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Turns, type TurnTaker } from './turns.ts';

/** Takes `left` turns, asking again after each. */
class Talker implements TurnTaker {
  readonly #name: string;
  readonly #turns: Turns;
  readonly #said: string[];
  #left: number;

  constructor(name: string, turns: Turns, said: string[], left: number) {
    this.#name = name;
    this.#turns = turns;
    this.#said = said;
    this.#left = left;
  }

  takeTurn(): void {
    this.#said.push(this.#name);
    this.#left--;
    if (this.#left > 0) this.#turns.request(this);
  }
}

test('turns go round: nobody waits for another to finish', () => {
  let room = 0;
  const said: string[] = [];
  const turns = new Turns(() => room-- > 0);
  turns.request(new Talker('a', turns, said, 4));
  turns.request(new Talker('b', turns, said, 2));
  turns.request(new Talker('c', turns, said, 1));
  assert.deepEqual(said, []);
  room = 2;
  turns.serve();
  assert.equal(said.join(''), 'ab');
  room = 100;
  turns.serve();
  assert.equal(said.join(''), 'abcabaa');
  assert.equal(turns.waiting, 0);
});

test('with room a turn comes at once, and asking again in it does not grow the stack', () => {
  const said: string[] = [];
  const turns = new Turns(() => true);
  turns.request(new Talker('a', turns, said, 100_000));
  assert.equal(said.length, 100_000);
});

test('a long line is served in order, and holds on to nobody it served', () => {
  let room = 0;
  const said: string[] = [];
  const turns = new Turns(() => room-- > 0);
  for (let i = 0; i < 5000; i++) turns.request(new Talker(`${i}`, turns, said, 1));
  while (turns.waiting > 0) {
    room = 7;
    turns.serve();
  }
  assert.deepEqual(
    said,
    Array.from({ length: 5000 }, (_, i) => `${i}`),
  );
});

test('after clear nobody gets a turn', () => {
  let hasRoom = false;
  const said: string[] = [];
  const turns = new Turns(() => hasRoom);
  turns.request(new Talker('a', turns, said, 1));
  turns.clear();
  hasRoom = true;
  turns.serve();
  assert.deepEqual(said, []);
});

test('a taker that throws does not stop the others', () => {
  const said: string[] = [];
  const turns = new Turns(() => true);
  const bad: TurnTaker = {
    takeTurn() {
      throw new Error('no');
    },
  };
  assert.throws(() => turns.request(bad), /no/);
  turns.request(new Talker('a', turns, said, 1));
  assert.deepEqual(said, ['a']);
});
