/**
 * Reload by SIGHUP: the file is read and judged again. What is wrong with it is logged in the words of `opes check`, and
 * nothing changes; what is right takes the place of what was, in one step. One reload at a time; signals that come
 * meanwhile make one more after it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type EffectiveConfig, showProblem } from '../../config/index.ts';
import type { Changes } from '../../gateway/index.ts';
import { readConfig } from '../load.ts';
import type { FlushedLog } from '../log.ts';
import type { Notifier } from '../systemd/notify.ts';
import type { System, SystemReload } from './system.ts';

export class Reloader {
  readonly #file: string;
  readonly #system: System;
  readonly #log: FlushedLog;
  readonly #notifier: Notifier;
  #isRunning = false;
  #isAskedAgain = false;

  constructor(file: string, system: System, log: FlushedLog, notifier: Notifier) {
    this.#file = file;
    this.#system = system;
    this.#log = log;
    this.#notifier = notifier;
  }

  /** Resolves when the reload is done, one way or the other; never rejects. */
  async request(): Promise<void> {
    this.#isAskedAgain = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#isAskedAgain) {
      this.#isAskedAgain = false;
      await this.#once();
    }
    this.#isRunning = false;
  }

  async #once(): Promise<void> {
    void this.#notifier.reloading();
    const isDone = await this.#try();
    this.#system.metrics.count('opes_reloads_total', { result: isDone ? 'done' : 'failed' });
    const status = isDone
      ? 'serving'
      : 'serving; the last reload failed, the configuration before it holds (see the log)';
    void this.#notifier.ready(status);
  }

  async #try(): Promise<boolean> {
    const loaded = readConfig(this.#file);
    if (loaded.kind === 'broken') {
      for (const problem of loaded.problems) this.#log.error('configuration', { problem: showProblem(problem) });
      this.#log.error('reload-failed', { problems: loaded.problems.length, effect: UNCHANGED });
      return false;
    }
    for (const notice of loaded.notices) this.#log.warn('configuration', { notice: showProblem(notice) });
    try {
      this.#tell(await this.#system.reload(this.#settled(loaded.config)));
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.error('reload-failed', { why, effect: UNCHANGED });
      return false;
    }
  }

  /** What only a start can change stays as it is, and is told. */
  #settled(config: EffectiveConfig): EffectiveConfig {
    const now = this.#system.config;
    for (const key of FIXED) {
      if (isDeepStrictEqual(config[key], now[key])) continue;
      this.#log.warn('reload-kept', {
        key,
        now: now[key] ?? 'none',
        file: config[key] ?? 'none',
        fix: 'restart opes to change it',
      });
    }
    const { dataDir, spillDir, store, queue, user, group } = now;
    return { ...config, dataDir, spillDir, store, queue, user, group };
  }

  #tell({ report, started, config }: SystemReload): void {
    this.#log.info('reloaded', {
      configuration: report.generation,
      file: config.source,
      ...shown('listeners', report.listeners),
      ...shown('services', report.services),
      settings: listed(report.settings),
      started: listed(started),
      sessionsBefore: report.sessions,
    });
    void report.retired.then(() => this.#log.info('configuration-retired', { configuration: report.generation - 1 }));
  }
}

const UNCHANGED = 'nothing changed';
const FIXED = ['dataDir', 'store', 'queue', 'user', 'group'] as const;

/** `listenersAdded: ['in']`; what did not change is not told. */
function shown(what: string, { added, changed, removed }: Changes): Record<string, unknown> {
  return {
    [`${what}Added`]: listed(added),
    [`${what}Changed`]: listed(changed),
    [`${what}Removed`]: listed(removed),
  };
}

function listed(names: readonly string[]): readonly string[] | undefined {
  return names.length === 0 ? undefined : names;
}
