/** Which services mail cannot do without while nobody answers for them: what readiness is judged by. */
import type { PipelineEntry } from './options.ts';

/** By its own policy, or by that of one that counts on it, however many lie between (decision 0058). */
export function isRequired(
  name: string,
  pipeline: readonly Pick<PipelineEntry, 'service' | 'buildsOn' | 'onFailure'>[],
): boolean {
  return pipeline.some(
    ({ service, buildsOn, onFailure }) =>
      (service === name && onFailure.unreachable !== 'skip') ||
      (buildsOn.includes(name) && isRequired(service, pipeline)),
  );
}
