/**
 * Processes of a running system are killed at random moments under load, and started again; at the end the mail is counted.
 * What a client was promised by a 250 must have arrived, whole, at every next hop it was for. It may arrive twice where a 250
 * was lost between two processes: at most as many as were under way.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.ts';
import { config, Gateway, OPES } from '../support/gateway.ts';
import { freePort, scratchFolder } from '../support/scratch.ts';
import { Clients } from './clients.ts';
import { type Balance, Ledger } from './ledger.ts';

export interface CampaignOptions {
  readonly kills: number;
  readonly clients: number;
  /** `sqlite`, or the address of a database. */
  readonly store: string;
  /** Kills the database server and starts it again; absent where there is none. */
  readonly killStore?: () => Promise<void>;
  readonly seed: number;
}

export interface CampaignResult extends Balance {
  readonly kills: Readonly<Record<string, number>>;
  readonly sent: number;
  /** Duplicates that killed processes can explain. */
  readonly permitted: number;
  readonly tookMs: number;
  /** What the last gateway logged at the end, where something is wrong. */
  readonly evidence: readonly string[];
}

const PER_DESTINATION = 10;
const HOPS = ['one', 'two'] as const;
/** No arrival for this long means that nothing more comes. */
const PATIENCE_MS = 90_000;
const EVIDENCE_LINES = 100;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const began = performance.now();
  const system = await System.start(options);
  const random = mulberry(options.seed);
  const ledger = new Ledger();
  const clients = new Clients({ port: system.port, clients: options.clients, ledger, random });
  const kills: Record<string, number> = {};
  const targets = [
    'gateway',
    'gateway',
    'callout',
    'one',
    'two',
    ...(options.killStore === undefined ? [] : ['store']),
  ];
  for (let i = 0; i < options.kills; i++) {
    await pause(50 + random() * 500);
    const target = targets[Math.floor(random() * targets.length)] as string;
    kills[target] = (kills[target] ?? 0) + 1;
    await system.kill(target);
  }
  await pause(500);
  await clients.stop();
  const balance = await drained(ledger, system.files);
  const isWrong = balance.lost.length > 0 || balance.broken.length > 0;
  const evidence = isWrong ? system.lastLogLines() : [];
  await system.stop();
  const killed = options.kills - (kills['callout'] ?? 0);
  const permitted = killed * PER_DESTINATION * HOPS.length;
  return { ...balance, kills, sent: clients.sent, permitted, tookMs: performance.now() - began, evidence };
}

/** Waits until everything promised has arrived, or nothing has come for a long time. */
async function drained(ledger: Ledger, files: ReadonlyMap<string, string>): Promise<Balance> {
  let balance = ledger.balance(files);
  let last = performance.now();
  while (balance.lost.length > 0 && performance.now() - last < PATIENCE_MS) {
    await pause(200);
    const now = ledger.balance(files);
    if (now.arrived > balance.arrived) last = performance.now();
    balance = now;
  }
  return balance;
}

class System {
  readonly files: ReadonlyMap<string, string>;
  readonly port: number;
  readonly #options: CampaignOptions;
  readonly #folder: string;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #children = new Map<string, Child>();
  #gateway: Gateway | undefined;

  private constructor(options: CampaignOptions, folder: string, ports: ReadonlyMap<string, number>) {
    this.#options = options;
    this.#folder = folder;
    this.#ports = ports;
    this.port = ports.get('gateway') ?? 0;
    this.files = new Map(HOPS.map((hop) => [hop, join(folder, `${hop}.txt`)]));
  }

  static async start(options: CampaignOptions): Promise<System> {
    const folder = scratchFolder('crash');
    mkdirSync(join(folder, 'gateway'));
    const ports = new Map<string, number>();
    for (const name of ['gateway', 'callout', ...HOPS]) ports.set(name, await freePort());
    const system = new System(options, folder, ports);
    for (const hop of HOPS) await system.#startHop(hop);
    await system.#startCallout();
    await system.#startGateway();
    return system;
  }

  async kill(target: string): Promise<void> {
    if (target === 'store') {
      await this.#options.killStore?.();
    } else if (target === 'gateway') {
      await this.#gateway?.stop('SIGKILL');
      await this.#startGateway();
    } else {
      await this.#children.get(target)?.stop('SIGKILL');
      await (target === 'callout' ? this.#startCallout() : this.#startHop(target));
    }
  }

  lastLogLines(): readonly string[] {
    return this.#gateway?.child.stderr.slice(-EVIDENCE_LINES) ?? [];
  }

  async stop(): Promise<void> {
    await this.#gateway?.stop();
    for (const child of this.#children.values()) await child.stop();
  }

  async #startHop(name: string): Promise<void> {
    const child = new Child(process.execPath, [
      here('hop.ts'),
      String(this.#ports.get(name)),
      this.files.get(name) ?? '',
    ]);
    await child.event('ready');
    this.#children.set(name, child);
  }

  async #startCallout(): Promise<void> {
    const child = new Child(OPES, ['serve', here('service.ts'), '--listen', `127.0.0.1:${this.#ports.get('callout')}`]);
    await child.event('ready', 60_000);
    this.#children.set('callout', child);
  }

  async #startGateway(): Promise<void> {
    const service = {
      connect: `ocp://127.0.0.1:${this.#ports.get('callout')}`,
      onFailure: 'spool',
      timeout: '2s',
    } as const;
    const configuration = config(
      '',
      { marked: service },
      {
        listeners: [{ name: 'mx', address: `127.0.0.1:${this.port}`, side: 'recipient' }],
        routes: HOPS.map((hop) => ({ to: `${hop}.test`, nextHop: `smtp://127.0.0.1:${this.#ports.get(hop)}` })),
        queue: { mode: 'spool', retry: ['500ms'], perDestination: PER_DESTINATION },
        store: this.#options.store,
      },
    );
    this.#gateway = await Gateway.start(configuration, join(this.#folder, 'gateway'));
  }
}

/** Numbers that look random and come again with the same seed. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
