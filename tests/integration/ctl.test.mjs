// SPDX-License-Identifier: MIT
// mcpctl as people run it: what it prints, where, and its exit status.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert, done, SCALE, test } from './lib/check.mjs';
import { Daemon, MCPCTL, pluginFile, ROOT, temporaryDirectory, TEST_PLUGINS, WRAPPER } from './lib/daemon.mjs';

const directory = temporaryDirectory('mcpctl');
const file = (name, value) => {
    fs.writeFileSync(path.join(directory, name), typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value, null, 2));
    return name;
};

function runWith(input, ...args) {
    const [program, ...rest] = [...WRAPPER, MCPCTL, ...args];
    const result = spawnSync(program, rest, { cwd: directory, encoding: 'utf8', input, timeout: 20_000 * SCALE });
    assert.equal(result.signal, null, result.stderr);
    return result;
}
const run = (...args) => runWith('', ...args);

/** Runs and asserts the status, standard output and standard error. */
function expect(args, status, stdout, stderr, input = '') {
    const result = runWith(input, ...args);
    const what = `mcpctl ${args.join(' ')}\n${result.stdout}${result.stderr}`;
    for (const [name, wanted] of [['stdout', stdout], ['stderr', stderr]]) {
        if (wanted instanceof RegExp) assert.match(result[name], wanted, what);
        else assert.equal(result[name], wanted, what);
    }
    assert.equal(result.status, status, what);
    return result;
}

// ---- The command line -----------------------------------------------------------

const COMMANDS = ['schema validate', 'key new', 'plugin inspect'];

test('--version and --help: on standard output, with every command', () => {
    expect(['--version'], 0, /^mcpctl \d+\.\d+\.\d+\n$/, '');
    const { stdout } = expect(['--help'], 0, /^usage: mcpctl/, '');
    assert.deepEqual([...stdout.matchAll(/^ {2}(\w+ \w+) {2}/gm)].map(([, name]) => name), COMMANDS);
    for (const command of COMMANDS)
        expect([...command.split(' '), '--help'], 0, new RegExp(`^usage: mcpctl ${command} .*\n\n`), '');
});
test('mcpctl(1) has every command, and every option of it; no others', () => {
    const manual = fs.readFileSync(path.join(ROOT, 'man/mcpctl.1'), 'utf8');
    const options = (text, pattern) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name))].sort();
    const found = [...manual.matchAll(/^\.It Cm (\w+ \w+) /gm)].map(([, name]) => name);
    assert.deepEqual(found, COMMANDS);
    for (const command of COMMANDS) {
        const part = manual.split(`.It Cm ${command} `)[1].split(/^\.It Cm |^Options of all commands/m)[0];
        assert.deepEqual(options(part, /^\.It Fl -([a-z-]+)/gm),
            options(run(...command.split(' '), '--help').stdout, /^ {6}--([a-z-]+)/gm), command);
    }
});
test('no command, an unknown one, half of one, an unknown option: status 2, and what was meant', () => {
    expect([], 2, '', /^usage: mcpctl/);
    expect(['shcema', 'validate', 'a', 'b'], 2, '', /"shcema validate" \(did you mean "schema validate"\?\)/);
    expect(['key'], 2, '', /"key" \(did you mean "key new"\?\)/);
    expect(['validate', 'a.json'], 2, '', /did you mean "schema validate"/);
    expect(['frobnicate'], 2, '', /^mcpctl: unknown command "frobnicate"\n/);
    expect(['schema', 'validate', '--fromat-assertion', 'a', 'b'], 2, '', /unknown option "--fromat-assertion" \(did you mean "--format-assertion"\?\)/);
    expect(['key', 'new', '--di', 'x'], 2, '', /did you mean "--id"/);
    expect(['key', 'new', '--id'], 2, '', /--id needs a value/);
    expect(['schema', 'validate', '--format-assertion=yes', 'a', 'b'], 2, '', /--format-assertion takes no value/);
    expect(['schema', 'validate', 'one.json'], 2, '', /a schema and at least one instance/);
});
test('an answer that cannot be written is none', () => {
    const result = spawnSync('/bin/sh', ['-c', '"$1" key new >/dev/full', 'sh', MCPCTL], { encoding: 'utf8' });
    assert.equal(result.status, 2, result.stderr);
    assert.match(result.stderr, /standard output/);
});

// ---- schema validate ----------------------------------------------------------------

const validate = (...args) => ['schema', 'validate', ...args];
const schema = file('schema.json', {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['name'],
    properties: {
        name: { type: 'string' }, ports: { type: 'array', items: { $ref: '#/$defs/port' } },
        'a/b~c': { const: 1 }, when: { format: 'date' },
    },
    additionalProperties: false,
    $defs: { port: { type: 'integer', maximum: 65535 } },
});
const good = file('good.json', { name: 'x', ports: [1, 2.0] });

test('a valid instance: status 0', () => {
    expect(validate(schema, good), 0, 'good.json: valid\n', '');
});
test('an invalid one: status 1, and each failure with both places as JSON Pointers and a sentence', () => {
    const bad = file('bad.json', '{\n  "ports": [80,\n    80000],\n  "a/b~c": 2,\n  "nmae": "x"\n}\n');
    const { stdout } = expect(validate(schema, bad), 1, /./, '');
    const lines = stdout.trimEnd().split('\n');
    assert.deepEqual(lines.map((line) => line.split(': ').slice(0, 2).join(': ')).sort(), [
        'bad.json:1:1: instance "", schema "/required"',
        'bad.json:3:5: instance "/ports/1", schema "/$defs/port/maximum"',
        'bad.json:4:12: instance "/a~1b~0c", schema "/properties/a~1b~0c/const"',
        'bad.json:5:11: instance "/nmae", schema "/additionalProperties"',
    ]);
    assert.match(stdout, /"\/ports\/1".*: .*65535.*, got 80000$/m);
    assert.match(stdout, /missing member "name"$/m);
    assert.match(stdout, /unknown member "nmae" \(did you mean "name"\?\)$/m);
});
test('several instances: each is told, and the worst is the status', () => {
    const other = file('other.json', []);
    const broken = file('broken.json', '{"name": }\n');
    expect(validate(schema, good, other, good), 1, /^good.json: valid\nother.json:1:1: instance "", schema "\/type": .*\ngood.json: valid\n$/, '');
    expect(validate(schema, broken, other, good), 2, /^other.json:1:1: .*\ngood.json: valid\n$/, /^broken.json:1:10: .+\n$/);
});
test('standard input as schema or as instance, not as both', () => {
    expect(validate(schema, '-'), 0, '(standard input): valid\n', '', '{"name":"x"}');
    expect(validate(schema, '-'), 1, /^\(standard input\):1:9: instance "\/name", schema "\/properties\/name\/type": /, '', '{"name":1}');
    expect(validate('-', good), 0, 'good.json: valid\n', '', 'true');
    expect(validate('-', good), 1, /^good.json:1:1: instance "", schema ""?.*: ./, '', 'false');
    expect(validate('-', '-'), 2, '', /only once/);
});
test('format describes; with --format-assertion it must hold', () => {
    const date = file('date.json', { name: 'x', when: 'tomorrow' });
    expect(validate(schema, date), 0, 'date.json: valid\n', '');
    for (const args of [['--format-assertion', schema, date], [schema, date, '--format-assertion'], ['--format-assertion', '--', schema, date]])
        expect(validate(...args), 1, /instance "\/when", schema "\/properties\/when\/format": ./, '');
});
test('an unusable schema: status 2, with file, line and column', () => {
    for (const [text, place] of [
        ['{\n  "properties": {\n    "a": { "minimum": "1" } }\n}', /^s.json:3:23: not a usable schema: "\/properties\/a\/minimum": ./],
        ['{ "$ref": "https://example.com/other" }', /^s.json:1:11: not a usable schema: .*example.com/],
        ['{ "$ref": "#/nowhere" }', /^s.json:1:11: not a usable schema: ./],
        ['{ "$schema": "http://json-schema.org/draft-04/schema#" }', /^s.json:1:\d+: not a usable schema: .*draft-04/],
        ['{ "pattern": "(" }', /^s.json:1:14: not a usable schema: ./],
        ['12', /^s.json:1:1: not a usable schema: ./],
        ['{ "type": "object", }', /^s.json:1:21: ./],
        ['{ "type": "object", "type": "object" }', /^s.json:1:21: .*type/],
        ['', /^s.json:1:1: ./],
        ['\xff', /^s.json:1:1: ./],
    ]) {
        file('s.json', Buffer.from(text, 'latin1'));
        expect(validate('s.json', good), 2, '', place);
    }
});
test('files that are not there or no files: status 2, by name', () => {
    expect(validate('nowhere.json', good), 2, '', 'nowhere.json: cannot be read: No such file or directory\n');
    expect(validate(schema, 'nowhere.json', good), 2, 'good.json: valid\n', 'nowhere.json: cannot be read: No such file or directory\n');
    expect(validate(schema, '.'), 2, '', '.: cannot be read: Is a directory\n');
    expect(validate(schema, '/dev/zero'), 2, '', /^\/dev\/zero: too large: expected at most \d+ bytes\n$/);
});
test('a schema as a weapon: an answer, and soon', () => {
    file('s.json', '{"allOf":['.repeat(2000) + '{}' + ']}'.repeat(2000));
    expect(validate('s.json', good), 2, '', /./);
    file('s.json', { $ref: '#' });
    expect(validate('s.json', good), 2, '', /./);
    file('s.json', { pattern: '^(a+)+$' });
    file('i.json', JSON.stringify(`${'a'.repeat(100)}b`));
    const start = performance.now();
    const result = run(...validate('s.json', 'i.json'));
    assert.equal(result.status, 1);
    assert.ok(performance.now() - start < 5000 * SCALE);
});
test('the published schemas check the published configurations', () => {
    const etc = (name) => path.join(ROOT, 'etc', name);
    const text = fs.readFileSync(etc('mcpd.json'), 'utf8').replace(/^\s*\/\/.*$/gm, '');
    expect(validate(etc('mcpd.schema.json'), '-'), 0, '(standard input): valid\n', '', text);
    expect(validate(etc('mcpd.schema.json'), '-'), 1, /"\/listen\/0\/port"/, '', '{"listen":[{"address":"127.0.0.1","port":80000}]}');
});

// ---- key new -------------------------------------------------------------------------

test('key new: one line, a name and 32 bytes in Base64, another each time', () => {
    const seen = new Set();
    for (let i = 0; i < 3; i++) {
        const { stdout } = expect(['key', 'new'], 0, /^[A-Za-z0-9_-]{1,32} [A-Za-z0-9+/]{43}=\n$/, '');
        const [id, key] = stdout.trimEnd().split(' ');
        assert.equal(Buffer.from(key, 'base64').length, 32);
        seen.add(id).add(key);
    }
    assert.equal(seen.size, 6);
});
test('key new --id: called that; what is no name is refused', () => {
    expect(['key', 'new', '--id', 'second_KEY-2'], 0, /^second_KEY-2 \S{44}\n$/, '');
    expect(['key', 'new', `--id=${'x'.repeat(32)}`], 0, /^x{32} \S{44}\n$/, '');
    for (const id of ['', 'a b', '#a', 'ä', 'x'.repeat(33)])
        expect(['key', 'new', `--id=${id}`], 2, '', /--id: expected 1 to 32 of/);
    expect(['key', 'new', 'second'], 2, '', /unexpected argument "second"/);
});
test('key new: mcpd takes what it prints, the newest first', () => {
    const daemon = new Daemon({ config: { request_state: { key_file: path.join(directory, 'keys') } } });
    const key = (...args) => run('key', 'new', ...args).stdout;
    const check = (text) => {
        fs.writeFileSync(path.join(directory, 'keys'), text, { mode: 0o600 });
        const [program, args] = daemon.command(['--check']);
        return spawnSync(program, args, { encoding: 'utf8' });
    };
    const good = check(`# the keys of our fleet\n${key('--id', 'second')}${key()}${key()}`);
    assert.equal(good.status, 0, good.stderr);
    const twice = check(key('--id', 'a') + key('--id', 'a'));
    assert.notEqual(twice.status, 0);
    assert.match(twice.stderr, /keys:2: the name of this key/);
});

// ---- plugin inspect --------------------------------------------------------------------

test('plugin inspect: id, version and ABI, without running the plugin', () => {
    expect(['plugin', 'inspect', pluginFile('filesystem')], 0, /^id: filesystem\nversion: \d+\.\d+\.\d+\nabi: 1\.\d+\n(needs .*\n)+$/, '');
    /* Its constructor would end the process. */
    expect(['plugin', 'inspect', pluginFile('bad_constructor_exit')], 0, /^id: bad_constructor_exit\n/, '');
    expect(['plugin', 'inspect', pluginFile('bad_requires')], 0, /^requires: test\.teleport\/1$/m, '');
});
test('plugin inspect: what is no plugin is told with the reason', () => {
    const refused = (name, why) => {
        const so = path.join(TEST_PLUGINS, `${name}.so`);
        expect(['plugin', 'inspect', so], 1, (why = new RegExp(`^${so}: .*${why.source}`)), '');
    };
    refused('bad_no_note', /manifest/);
    refused('bad_stack', /executable stack/);
    file('text.so', 'no shared object');
    expect(['plugin', 'inspect', 'text.so'], 1, /^text\.so: .*ELF/, '');
    file('empty.so', '');
    expect(['plugin', 'inspect', 'empty.so'], 1, /^empty\.so: ./, '');
    expect(['plugin', 'inspect', 'nowhere.so'], 2, '', /^nowhere\.so: cannot be read: /);
    expect(['plugin', 'inspect'], 2, '', /one plugin file/);
});

await done();
