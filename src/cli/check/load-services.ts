/**
 * Service files of a configuration (`run:`) are loaded as `start` would: each in a process of its own, with its permissions
 * and its time limit. What is wrong with one is a problem of the configuration, at the line that names it.
 */
import type { EffectiveConfig, EffectiveService, PlacedProblem, Problem } from '../../config/index.ts';
import { Failure } from '../exit.ts';
import type { ServiceProcesses } from '../start/service-processes.ts';

/** All together; beyond it whoever waited is told for whom. */
const SLOW_MS = 3000;

export interface LoadedServices {
  readonly problems: readonly PlacedProblem[];
  /** Those that took long, slowest first, where all together took longer than some seconds. */
  readonly slow: readonly string[];
}

/** They run in `processes` afterwards, and serve whoever asks there for the same services. */
export async function loadServices(
  config: EffectiveConfig,
  processes: Pick<ServiceProcesses, 'start'>,
  place: (problem: Problem) => PlacedProblem,
  clock: () => number = () => performance.now(),
): Promise<LoadedServices> {
  const began = clock();
  const mine = config.services.filter(({ from }) => from.kind === 'run');
  const loaded = await Promise.all(
    mine.map(async (service) => {
      const problem = await load(service, config, processes);
      return { name: service.name, problem, ms: clock() - began };
    }),
  );
  const problems = loaded.flatMap(({ problem }) => (problem === undefined ? [] : [place(problem)]));
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column), slow: slowOf(loaded) };
}

async function load(
  service: EffectiveService,
  config: EffectiveConfig,
  processes: Pick<ServiceProcesses, 'start'>,
): Promise<Problem | undefined> {
  const path = ['services', service.name, 'run'];
  try {
    await processes.start({ ...config, services: [service] });
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const [first = '', ...more] = error.message.split('\n');
    return {
      path,
      what: `services.${service.name}.run: ${first}`,
      fix: more.map((line) => line.replace(/^ {4}/, '')).join('\n') || FIX,
    };
  }
}

const FIX = 'run it alone to see more: opes serve FILE';

function slowOf(loaded: readonly { readonly name: string; readonly ms: number }[]): readonly string[] {
  const slowest = loaded.toSorted((a, b) => b.ms - a.ms);
  if ((slowest[0]?.ms ?? 0) < SLOW_MS) return [];
  return slowest
    .filter(({ ms }) => ms >= SLOW_MS / 2)
    .map(({ name, ms }) => `${name} (${Math.round(ms / 100) / 10} s)`);
}
