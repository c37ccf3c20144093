/**
 * The gateway's listeners through reloads: a place that stays keeps its socket and its sessions, a new one is opened before
 * anything else is touched, one that is gone drains behind.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Deadlines, Metrics } from '../base/index.ts';
import {
  type ServerHandler,
  type ServerOptions,
  type ServerPlace,
  ServerSocket,
  type SmtpConnection,
  SmtpListener,
} from '../smtp/index.ts';
import type { GatewayOptions, ListenAddress, ListenerOptions } from './options.ts';
import { placeOf } from './reload.ts';

export type ListeningAt = { readonly name: string } & ServerPlace;

/** Sockets that listen already, by listener name. */
export type BoundSockets = ReadonlyMap<string, ServerSocket>;

export type MakeDialog = (listener: ListenerOptions, connection: SmtpConnection) => ServerHandler;

interface Slot {
  readonly name: string;
  readonly address: ListenAddress;
  readonly listener: SmtpListener;
  readonly forget: () => void;
}

/** The step that cannot fail any more. */
export interface Prepared {
  /** `drainMs`: for sessions of listeners that are gone. */
  commit(drainMs: number): void;
  abandon(): Promise<void>;
}

export class Listeners {
  readonly #deadlines: Deadlines;
  readonly #metrics: Metrics;
  #slots = new Map<string, Slot>();
  /** Taken out by a reload, with sessions still there. */
  readonly #draining = new Set<Slot>();

  constructor(deadlines: Deadlines, metrics: Metrics) {
    this.#deadlines = deadlines;
    this.#metrics = metrics;
  }

  get list(): readonly ListeningAt[] {
    return [...this.#slots.values()].map(({ name, listener: { place } }) =>
      'path' in place ? { name, path: place.path } : { name, address: place.address, port: place.port },
    );
  }

  /** Opens what is new. Rejects, with nothing changed, where a place cannot be had. */
  async prepare(options: GatewayOptions, makeDialog: MakeDialog, sockets?: BoundSockets): Promise<Prepared> {
    const opened = new Map<string, ServerSocket>();
    const undo: (() => void)[] = [];
    const abandon = async (): Promise<void> => {
      for (const one of undo.toReversed()) one();
      await Promise.all([...opened.values()].map((socket) => socket.close()));
    };
    try {
      const updates = new Map<string, () => void>();
      for (const one of options.listeners) {
        const place = placeOf(one);
        const kept = this.#slots.get(place);
        if (kept === undefined) {
          opened.set(place, sockets?.get(one.name) ?? (await ServerSocket.bind(one.address)));
        } else {
          if (one.address.kind === 'unix' && !isDeepStrictEqual(one.address, kept.address))
            undo.push(kept.listener.setAccess(one.address));
          updates.set(
            place,
            kept.listener.prepare(this.#settings(options, one), (c) => makeDialog(one, c)),
          );
        }
      }
      return { abandon, commit: (drainMs) => this.#commit(options, makeDialog, { opened, updates }, drainMs) };
    } catch (error) {
      await abandon();
      throw error;
    }
  }

  /** No new connections; resolves when the last session is gone, those on listeners that a reload took out included. */
  async close(drainMs: number): Promise<void> {
    const slots = [...this.#slots.values(), ...this.#draining];
    for (const slot of slots) slot.forget();
    await Promise.all(slots.map(({ listener }) => listener.close(drainMs)));
  }

  #commit(
    options: GatewayOptions,
    makeDialog: MakeDialog,
    prepared: { opened: ReadonlyMap<string, ServerSocket>; updates: ReadonlyMap<string, () => void> },
    drainMs: number,
  ): void {
    const before = this.#slots;
    // In the order of the file: that is the order of the ready line.
    this.#slots = new Map(
      options.listeners.map((one): [string, Slot] => {
        const place = placeOf(one);
        const kept = before.get(place);
        before.delete(place);
        prepared.updates.get(place)?.();
        const socket = prepared.opened.get(place);
        if (socket !== undefined) {
          const listener = SmtpListener.on(socket, this.#settings(options, one), (c) => makeDialog(one, c));
          return [place, this.#slot(one, listener)];
        }
        if (kept === undefined) throw new Error(`listener ${one.name} was not prepared`);
        if (kept.name === one.name) return [place, { ...kept, address: one.address }];
        kept.forget();
        return [place, this.#slot(one, kept.listener)];
      }),
    );
    for (const slot of before.values()) this.#drain(slot, drainMs);
  }

  #drain(slot: Slot, drainMs: number): void {
    slot.forget();
    this.#draining.add(slot);
    void slot.listener.close(drainMs).then(() => this.#draining.delete(slot));
  }

  #settings(options: GatewayOptions, listener: ListenerOptions) {
    const { log, hostname, store } = options;
    const { auth: login } = listener;
    const auth: ServerOptions['auth'] = login === undefined ? 'none' : login.isClearAllowed ? 'always' : 'over-tls';
    // Reports that are asked for are made by the spool. A reply for each recipient is always ours to give.
    const extensions = { dsn: store !== undefined, prdr: true, opes: true };
    return { ...listener, auth, extensions, hostname, log, deadlines: this.#deadlines };
  }

  #slot({ name, address }: ListenerOptions, listener: SmtpListener): Slot {
    const labels = { listener: name };
    const gauges = [
      this.#metrics.gauge('opes_sessions', () => listener.connections, labels),
      this.#metrics.gauge('opes_sessions_refused_total', () => listener.refused, labels),
      ...[2, 3, 4, 5].map((digit) =>
        this.#metrics.gauge('opes_replies_total', () => listener.replies[digit] ?? 0, {
          ...labels,
          class: `${digit}xx`,
        }),
      ),
    ];
    return {
      name,
      address,
      listener,
      forget: () => {
        for (const forget of gauges) forget();
      },
    };
  }
}
