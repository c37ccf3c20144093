import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Phase } from './phase.ts';

const OFFER = { features: [], sg: undefined };

test('the phase is open while either side may still offer (RFC 4037, section 6.2, second dialogue)', () => {
  const phase = new Phase('processor');
  phase.sendOffer(OFFER, false);
  assert.equal(phase.isOpen, true);
  assert.equal(phase.recvAnswer(undefined, true), OFFER);
  assert.equal(phase.isOpen, true);
  assert.deepEqual(phase.recvOffer(false), { kind: 'answer', reoffer: undefined });
  phase.sendAnswer(false);
  assert.equal(phase.isOpen, false);
  assert.equal(phase.count, 1);
});

test("crossing offers: the processor's counts, and the other changes nothing, its Offer-Pending included", () => {
  const p = new Phase('processor');
  p.sendOffer(OFFER, false);
  assert.deepEqual(p.recvOffer(true), { kind: 'disregard' });
  p.recvAnswer(undefined, false);
  assert.equal(p.isOpen, false);
  const s = new Phase('callout');
  s.sendOffer(OFFER, false);
  assert.equal(s.canOffer, false);
  assert.deepEqual(s.recvOffer(false), { kind: 'answer', reoffer: OFFER });
  assert.equal(s.canOffer, true);
  s.sendAnswer(true);
  assert.equal(s.isOpen, true);
});

test('an answer needs an offer, and its scope', () => {
  const phase = new Phase('processor');
  assert.equal(phase.recvAnswer(undefined, false), 'answer-without-offer');
  phase.sendOffer({ features: [], sg: 5 }, false);
  for (const sg of [undefined, 4]) assert.equal(phase.recvAnswer(sg, false), 'answer-group-mismatch');
  assert.notEqual(typeof phase.recvAnswer(5, false), 'string');
  assert.equal(phase.recvAnswer(5, false), 'answer-without-offer');
});

test('the peer is bound to the phase only once it has answered in it (A-03)', () => {
  const phase = new Phase('callout');
  phase.sendOffer(OFFER, true);
  assert.equal(phase.bindsPeer, false);
  phase.recvAnswer(undefined, false);
  assert.equal(phase.bindsPeer, true);
  phase.sendOffer(OFFER, false);
  phase.recvAnswer(undefined, false);
  assert.equal(phase.bindsPeer, false);
  phase.sendOffer(OFFER, true);
  assert.equal(phase.bindsPeer, false);
});

/*
 * Two phases joined by two lines, with agents that offer and promise at random and answer at once: the sides must agree
 * on the end of each phase as soon as nothing is on its way.
 */
type Wire = { readonly kind: 'NO' | 'NR'; readonly pending: boolean };

class Side {
  readonly phase: Phase;
  readonly inbox: Wire[] = [];
  other: Side | undefined;
  owes = false;

  constructor(side: 'processor' | 'callout') {
    this.phase = new Phase(side);
  }

  offer(pending: boolean): void {
    if (!this.phase.canOffer) return;
    this.phase.sendOffer(OFFER, pending);
    this.owes = pending;
    this.other?.inbox.push({ kind: 'NO', pending });
  }

  read(promise: boolean): void {
    const wire = this.inbox.shift();
    if (wire === undefined) return;
    if (wire.kind === 'NR') {
      assert.notEqual(typeof this.phase.recvAnswer(undefined, wire.pending), 'string');
      return;
    }
    const step = this.phase.recvOffer(wire.pending);
    assert.notEqual(step.kind, 'bad');
    if (step.kind !== 'answer') return;
    const pending = promise || this.owes || step.reoffer !== undefined;
    this.owes = pending;
    this.phase.sendAnswer(pending);
    this.other?.inbox.push({ kind: 'NR', pending });
    if (step.reoffer !== undefined) this.offer(false);
  }
}

test('two agents that offer and promise at random always agree in the end', () => {
  const step = fc.record({
    who: fc.boolean(),
    what: fc.constantFrom('offer', 'read', 'read'),
    pending: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const p = new Side('processor');
      const s = new Side('callout');
      p.other = s;
      s.other = p;
      const settle = () => {
        while (p.inbox.length + s.inbox.length > 0) {
          p.read(false);
          s.read(false);
        }
      };
      for (const { who, what, pending } of steps) {
        const side = who ? p : s;
        if (what === 'offer') side.offer(pending);
        else side.read(pending);
      }
      settle();
      // Whoever promised an offer makes it; the one that waits would time out otherwise.
      for (let i = 0; i < 4 && (p.phase.isOpen || s.phase.isOpen); i++) {
        for (const side of [p, s]) {
          if (side.owes) side.offer(false);
          settle();
        }
      }
      assert.deepEqual([p.phase.isOpen, s.phase.isOpen], [false, false]);
    }),
    { numRuns: 2000 },
  );
});
