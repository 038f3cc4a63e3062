// SPDX-License-Identifier: Apache-2.0
// node-zookeeper-client against HOST:PORT[,...]: prints what it is answered, the same on each run
// against servers that behave the same. Its module directory is that of the working directory.
'use strict';

const path = require('path');
const zookeeper = require(path.resolve('node_modules', 'node-zookeeper-client'));

const root = '/t_node_client';
const hosts = process.argv[2].split(',')[0];
const DEADLINE_MS = 60000;

const say = (line) => console.log(line);

function outcome(error, show, values) {
  if (error) return error.name || String(error);
  return show ? show(...values) : 'ok';
}

// Calls client[method](...parameters) and says how it was answered.
function told(client, label, method, parameters, show) {
  return new Promise((resolve) => {
    client[method](...parameters, (error, ...values) => {
      say(`${label} -> ${outcome(error, show, values)}`);
      resolve(values);
    });
  });
}

function stat(s) {
  return `[v=${s.version} cv=${s.cversion} av=${s.aversion} length=${s.dataLength} ` +
      `children=${s.numChildren} ephemeral=${s.ephemeralOwner.some((b) => b !== 0)}]`;
}

function connect(hostList, options) {
  const client = zookeeper.createClient(hostList, {sessionTimeout: 8000, spinDelay: 50, ...options});
  return new Promise((resolve) => {
    client.once('connected', () => resolve(client));
    client.connect();
  });
}

// A watcher, and a promise of its first event.
function watcher() {
  let fired;
  const event = new Promise((resolve) => { fired = resolve; });
  return [fired, event];
}

async function expectEvent(label, event) {
  const told = await event;
  say(`${label}: ${told.getName()} ${told.getPath()}`);
}

const mode = zookeeper.CreateMode;
const data = (text) => Buffer.from(text);
const shown = (value, s) => `${value === undefined ? 'none' : JSON.stringify(String(value))} ${stat(s)}`;

async function znodes(client) {
  say('-- znodes');
  const r = root;
  await told(client, 'create', 'create', [r, data('root')], String);
  await told(client, 'create again', 'create', [r], String);
  await told(client, 'ephemeral', 'create', [`${r}/e`, mode.EPHEMERAL], String);
  await told(client, 'below it', 'create', [`${r}/e/x`], String);
  await told(client, 'sequential', 'create', [`${r}/s-`, mode.PERSISTENT_SEQUENTIAL], String);
  await told(client, 'both', 'create', [`${r}/s-`, mode.EPHEMERAL_SEQUENTIAL], String);
  await told(client, 'container', 'create', [`${r}/c`, mode.CONTAINER], String);
  await told(client, 'no parent', 'create', [`${r}/missing/x`], String);
  await told(client, 'mkdirp', 'mkdirp', [`${r}/a/b/c`], String);
  await told(client, 'exists', 'exists', [r], (s) => s ? stat(s) : 'no');
  await told(client, 'exists missing', 'exists', [`${r}/missing`], (s) => s ? stat(s) : 'no');
  await told(client, 'getData', 'getData', [r], shown);
  await told(client, 'getData missing', 'getData', [`${r}/missing`], shown);
  await told(client, 'setData', 'setData', [r, data('new')], stat);
  await told(client, 'setData old', 'setData', [r, data('new'), 9], stat);
  await told(client, 'setData version', 'setData', [r, data('newer'), 1], stat);
  await told(client, 'getChildren', 'getChildren', [r], (names, s) => `${names.sort()} ${stat(s)}`);
  await told(client, 'getChildren missing', 'getChildren', [`${r}/missing`], String);
  await told(client, 'remove full', 'remove', [`${r}/a`]);
  await told(client, 'remove version', 'remove', [`${r}/a/b/c`, 4]);
  await told(client, 'remove', 'remove', [`${r}/a/b/c`]);
  await told(client, 'remove missing', 'remove', [`${r}/a/b/c`]);
  await told(client, 'large', 'create', [`${r}/large`, Buffer.alloc(300000, 'x')], String);
  await told(client, 'large', 'getData', [`${r}/large`], (value) => value.length);
}

async function permissions(client) {
  say('-- permissions');
  const n = `${root}/acl`;
  const other = await connect(hosts);
  client.addAuthInfo('digest', data('u:p'));
  const acls = [new zookeeper.ACL(zookeeper.Permission.ALL, new zookeeper.Id('auth', ''))];
  const list = (entries, s) => entries.map((e) => `${e.permission} ${e.id.scheme}:${e.id.id}`) +
      ` ${stat(s)}`;
  await told(client, 'create', 'create', [n, data('secret'), acls], String);
  await told(client, 'getACL', 'getACL', [n], list);
  await told(other, 'other', 'getData', [n], shown);
  await told(other, 'other sets', 'setData', [n, data('x')], stat);
  await told(other, 'other getACL', 'getACL', [n], list);
  other.addAuthInfo('digest', data('u:p'));
  await told(other, 'other', 'getData', [n], shown);
  await told(client, 'setACL', 'setACL', [n, zookeeper.ACL.READ_ACL_UNSAFE, 0], stat);
  await told(client, 'setACL old', 'setACL', [n, zookeeper.ACL.OPEN_ACL_UNSAFE, 7], stat);
  await told(client, 'getACL', 'getACL', [n], list);
  other.close();
}

async function transactions(client) {
  say('-- transactions');
  const commit = (label, transaction) => new Promise((resolve) => {
    transaction.commit((error, results) => {
      say(`${label} -> ${error ? error.name : 'ok'} ` + results.map((one) =>
          one.err ? one.err : one.path || (one.stat ? stat(one.stat) : 'done')).join(', '));
      resolve();
    });
  });
  const a = `${root}/t-a`;
  const b = `${root}/t-b`;
  await commit('create', client.transaction().create(a, data('1')).create(b, mode.EPHEMERAL));
  await commit('all kinds', client.transaction().check(a, 0).setData(a, data('2'), 0).remove(b)
      .create(`${root}/t-s-`, mode.PERSISTENT_SEQUENTIAL));
  await commit('fails', client.transaction().create(b).check(a, 9).remove(a));
  await commit('exists', client.transaction().create(a));
  await told(client, 'not made', 'exists', [b], (s) => s ? stat(s) : 'no');
}

async function watches(client) {
  say('-- watches');
  const writer = await connect(hosts);
  const n = `${root}/w`;
  let [fired, event] = watcher();
  await told(client, 'exists', 'exists', [n, fired], (s) => s ? stat(s) : 'no');
  await told(writer, 'create', 'create', [n], String);
  await expectEvent('event', event);
  [fired, event] = watcher();
  await told(client, 'getData', 'getData', [n, fired], shown);
  await told(writer, 'setData', 'setData', [n, data('x')], stat);
  await expectEvent('event', event);
  [fired, event] = watcher();
  await told(client, 'getChildren', 'getChildren', [n, fired], (names) => names.length);
  await told(writer, 'create', 'create', [`${n}/c`, mode.EPHEMERAL], String);
  await expectEvent('event', event);
  [fired, event] = watcher();
  await told(client, 'getData', 'getData', [`${n}/c`, fired], shown);
  writer.close();
  await expectEvent('its session ends', event);
}

// The connection breaks: the session goes on, and its watches with it (setWatches).
async function reconnect(client) {
  say('-- reconnect');
  const writer = await connect(hosts);
  const n = `${root}/r`;
  await told(client, 'create', 'create', [n, mode.EPHEMERAL], String);
  const session = client.getSessionId().toString('hex');
  const [fired, event] = watcher();
  const [unmissed, later] = watcher();
  await told(client, 'getData', 'getData', [n, fired], shown);
  await told(client, 'exists', 'exists', [`${n}-later`, unmissed], (s) => s ? stat(s) : 'no');
  const back = new Promise((resolve) => client.once('connected', resolve));
  client.connectionManager.socket.destroy();
  await told(writer, 'setData meanwhile', 'setData', [n, data('x')], stat);
  await back;
  say(`same session ${client.getSessionId().toString('hex') === session}`);
  await expectEvent('missed event', event);
  await told(writer, 'create', 'create', [`${n}-later`], String);
  await expectEvent('event', later);
  writer.close();
}

async function many(client) {
  say('-- many at once');
  const made = [];
  for (let i = 0; i < 500; i++) {
    made.push(new Promise((resolve) => {
      client.create(`${root}/m-${i}`, mode.EPHEMERAL, (error, name) => resolve(!error && name));
    }));
  }
  const names = await Promise.all(made);
  say(`${names.filter((name, i) => name === `${root}/m-${i}`).length} made`);
}

function removeTree(client, name) {
  return new Promise((resolve) => {
    client.getChildren(name, (error, names) => {
      Promise.all((names || []).map((child) => removeTree(client, `${name}/${child}`)))
          .then(() => client.remove(name, () => resolve()));
    });
  });
}

async function main() {
  const client = await connect(hosts);
  await removeTree(client, root);
  await znodes(client);
  await permissions(client);
  await transactions(client);
  await watches(client);
  await reconnect(client);
  await many(client);
  await removeTree(client, root);
  client.once('disconnected', () => { say('closed'); process.exit(0); });
  client.close();
}

setTimeout(() => { say('not done in time'); process.exit(1); }, DEADLINE_MS).unref();
main().catch((error) => { say(`failed: ${error.message}`); process.exit(1); });
