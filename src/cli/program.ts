/**
 * The command line (design, section 4). Each command is loaded when it is asked for: `opes send` need not wait for the
 * gateway's code.
 */
import { Command, CommanderError, Option } from 'commander';
import { EXIT, Failure } from './exit.ts';
import { LEVELS } from './levels.ts';
import { addQuarantineCommands, addQueueCommands } from './queue/commands.ts';

/** Runs the command that `args` name and resolves to the exit code. Errors of use and of the world are on stderr then. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = makeProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof Failure) {
      process.stderr.write(`${error.message}\n`);
      return error.exitCode;
    }
    throw error;
  }
}

/** One value an occurrence: a list behind one option would take the file that follows it too. */
function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function makeProgram(ended: (exitCode: number) => void): Command {
  const program = new Command('opes')
    .description('A mail gateway that hands parts of each mail to callout services over OCP (RFC 4037).')
    .showHelpAfterError('(opes --help, or opes COMMAND --help, tells more)')
    .exitOverride();
  const command = (usage: string, description: string) =>
    program.command(usage).description(description).exitOverride();
  const logLevel = () =>
    new Option('--log-level <level>', 'least important lines to log').choices([...LEVELS]).default('info');

  command('start', 'run the gateway, its embedded services and its console; without a file, a demo on loopback')
    .option('--config <file>', 'configuration (YAML)')
    .addOption(logLevel())
    .action(async (options) => ended(await (await import('./start/start.ts')).start(options)));

  command('serve', 'run callout services from TypeScript or JavaScript modules')
    .argument('<file...>', 'modules that export services')
    .option('--listen <address>', 'HOST:PORT, ocp+tls://HOST:PORT or unix:/path', '127.0.0.1:4037')
    .option('--uri <uri>', 'what the service is called by, in place of its own name')
    .option('--cert <file>', 'our certificate (PEM), for ocp+tls')
    .option('--key <file>', 'its key (PEM)')
    .option('--ca <file>', 'who signs the certificates of gateways (PEM)')
    .option('--insecure', 'permit plaintext on other addresses than loopback')
    .addOption(new Option('--with-parent', 'end when stdin does').hideHelp())
    .addOption(logLevel())
    .action(async (files, options) => ended(await (await import('./serve/serve.ts')).serve(files, options)));

  command('check', 'say what is wrong with a configuration, or what it would do to a mail; sends nothing')
    .argument('[mail]', 'a mail to run through the services ("-": stdin)')
    .option('--config <file>', 'configuration (YAML); without it, the demo')
    .option('--from <address>', 'envelope sender (default: none)')
    .option('--to <address>', 'envelope recipient; may be repeated', collect)
    .option('--client <ip>', 'address the mail comes from (default: 127.0.0.1; on a Unix socket "unix")')
    .option('--helo <name>', 'name the client greets with (default: opes-check)')
    .option('--user <name>', 'who logged in (default: nobody)')
    .option('--listener <name>', 'listener it comes in by (default: the first)')
    .action(async (mail, options) => ended(await (await import('./check/check.ts')).check(mail, options)));

  command('send', 'send a mail and show the dialog')
    .argument('<mail>', 'file with the mail ("-": stdin)')
    .requiredOption('--from <address>', 'envelope sender ("<>": none)')
    .requiredOption('--to <address>', 'envelope recipient; may be repeated', collect)
    .option('--server <address>', 'where to send it: HOST:PORT or unix:/path', '127.0.0.1:2525')
    .option('--lmtp', 'the server speaks LMTP')
    .option('--helo <name>', 'name to say hello with')
    .action(async (mail, options) => ended(await (await import('./send/send.ts')).send(mail, options)));

  command('user', 'make an entry of a users file (auth:) for a password typed here or read from stdin')
    .argument('<name>', 'what the user logs in with, usually an address')
    .option('--sender <address>', 'address or @domain it may send as; may be repeated (default: its name)', collect)
    .addHelpText('after', '\nExample:\n  opes user ann@example.com >> users.yaml && chmod 640 users.yaml')
    .action(async (name, options) => ended(await (await import('./user/user.ts')).user(name, options)));
  addQueueCommands(program, ended);
  addQuarantineCommands(program, ended);

  command('trace', 'say what was done to a mail, as far as a running gateway knows')
    .argument('<id-or-header...>', 'a mail id, or an OPES-System or OPES-Via line in quotes')
    .option('--config <file>', 'configuration of the gateway; without it, the demo')
    .option('--json', 'JSON, one object')
    .addHelpText('after', "\nExample:\n  opes trace 'OPES-System: https://mail.example.com/opes?id=q3Zk81aBcD7x.1'\n")
    .action(async (words, options) => ended(await (await import('./trace/trace.ts')).trace(words, options)));

  return program;
}
