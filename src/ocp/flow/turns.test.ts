import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Turns, type TurnTaker } from './turns.ts';

/** Output of which 4 octets may wait; each turn says one. */
class Output {
  said = '';
  pending = 0;
  readonly turns = new Turns(() => this.pending, 4);

  /** All is written, and turns go on. */
  drain(): void {
    this.pending = 0;
    this.turns.serve();
  }
}

/** Takes `left` turns, asking again after each. */
class Talker implements TurnTaker {
  readonly #name: string;
  readonly #output: Output;
  #left: number;

  constructor(output: Output, name: string, left: number) {
    this.#output = output;
    this.#name = name;
    this.#left = left;
    output.turns.request(this);
  }

  takeTurn(): void {
    this.#output.said += this.#name;
    this.#output.pending++;
    this.#left--;
    if (this.#left > 0) this.#output.turns.request(this);
  }
}

test('turns go round: nobody waits for another to finish', () => {
  const output = new Output();
  output.pending = 4;
  new Talker(output, 'a', 6);
  new Talker(output, 'b', 2);
  new Talker(output, 'c', 1);
  assert.equal(output.said, '');
  output.drain();
  assert.equal(output.said, 'abca');
  output.drain();
  assert.equal(output.said, 'abcabaaa');
  output.drain();
  assert.equal(output.said, 'abcabaaaa');
  assert.equal(output.turns.waiting, 0);
});

test('with room a turn comes at once, and asking again in it does not grow the stack', () => {
  const output = new Output();
  const talker: TurnTaker & { left: number } = {
    left: 100_000,
    takeTurn() {
      output.pending = -talker.left; // something was said, and room is left
      talker.left--;
      if (talker.left > 0) output.turns.request(talker);
    },
  };
  output.turns.request(talker);
  assert.equal(talker.left, 0);
});

test('whoever asks again and again without saying anything stops nobody', () => {
  const output = new Output();
  let turns = 0;
  const idle: TurnTaker = {
    takeTurn() {
      turns++;
      output.turns.request(idle);
    },
  };
  output.turns.request(idle);
  new Talker(output, 'a', 5);
  assert.equal(output.said, 'aaaa');
  output.drain();
  assert.equal(output.said, 'aaaaa');
  assert.ok(turns < 20, `${turns} turns for nothing`);
});

test('a long line is served in order, and holds on to nobody it served', () => {
  const output = new Output();
  output.pending = 4;
  const names = Array.from({ length: 5000 }, (_, i) => ` ${i}`);
  for (const name of names) new Talker(output, name, 1);
  while (output.turns.waiting > 0) output.drain();
  assert.equal(output.said, names.join(''));
});

test('after clear nobody gets a turn', () => {
  const output = new Output();
  output.pending = 4;
  new Talker(output, 'a', 1);
  output.turns.clear();
  output.drain();
  assert.equal(output.said, '');
});

test('a taker that throws does not stop the others', () => {
  const output = new Output();
  const bad: TurnTaker = {
    takeTurn() {
      throw new Error('no');
    },
  };
  assert.throws(() => output.turns.request(bad), /no/);
  new Talker(output, 'a', 1);
  assert.equal(output.said, 'a');
});
