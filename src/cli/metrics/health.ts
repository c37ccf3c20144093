/** Whether mail can be served: asked by load balancers, orchestrators and people, who are told what is wrong. */

/** What is wrong with one thing, a line each; nothing where it is well. */
export type HealthCheck = () => readonly string[];

export class Health {
  readonly #checks = new Map<string, HealthCheck>();

  /** Under `name`: another check of that name takes its place. */
  add(name: string, check: HealthCheck): void {
    this.#checks.set(name, check);
  }

  problems(): readonly string[] {
    return [...this.#checks.values()].flatMap((check) => check());
  }
}
