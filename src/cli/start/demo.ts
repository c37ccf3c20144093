/**
 * What `opes start` runs without a file: a complete system on loopback. The same text is `examples/demo.yaml` (a test
 * says so), where a newcomer starts to change things.
 */
export const DEMO_YAML = `# What \`opes start\` runs without a file. Copy it, change it, and run: opes start --config FILE
version: 1
system:
  uri: http://127.0.0.1:8025/               # who we are, in the trace of each mail
hostname: opes.example
dataDir: opes-data
listeners:
  - { name: demo, address: "127.0.0.1:2525", side: recipient, maxSize: 25MB }
routes:
  - { to: "*", nextHop: mailbox }           # keeps mails as files in opes-data/mailbox; else "smtp://HOST:PORT"
services:
  attachments:
    uri: http://127.0.0.1:8025/services/attachments
    run: builtin:attachments                # refuses programs, whatever they are called
    may: [refuse]
  banner:
    uri: http://127.0.0.1:8025/services/banner
    run: builtin:banner                     # tells the recipient that the mail came from outside
    may: [edit-content, edit-header, add-header]
pipeline:                                   # in this order
  - { service: attachments, requires: [RAWDATA], onFailure: tempfail }
  - { service: banner, when: "listener.side == 'recipient'", onFailure: skip }
console: { address: "127.0.0.1:8025", showMail: true }
`;

/** The name its text has in messages. */
export const DEMO_NAME = 'demo configuration';

/** What a person at a terminal is told once everything is up; programs read the ready line. */
export function showWelcome(): void {
  process.stderr.write(`
  The demo runs: SMTP on 127.0.0.1:2525, delivered mail in opes-data/mailbox.
  Send a mail:   bin/opes send --from ann@example.org --to bob@example.com examples/mails/hello.eml
  Look at it:    http://127.0.0.1:8025/
  End with Ctrl-C.

`);
}
