// WHEP before Janus, on loopback: `node server.mjs MODULES SETTINGS`, where MODULES is
// a node_modules folder and SETTINGS is JSON: {janus, port, endpoints: [{id, mountpoint,
// token}]}. Says "listening" on standard output.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const express = createRequire(join(modules, 'any.js'))('express');
const whep = join(modules, 'janus-whep-server', 'src', 'whep.js');
const { JanusWhepServer } = await import(pathToFileURL(whep));

// With an application of its own it would listen on every interface.
const app = express();
const server = new JanusWhepServer({
  janus: { address: settings.janus },
  rest: { app, basePath: '/whep' },
  strictETags: false,
});
// Janus 1.1 makes the offer itself; the front believes that every 1.x takes ours.
Object.defineProperty(server, 'multistream', { get: () => false, set: () => {} });
await server.start();
for (const endpoint of settings.endpoints) server.createEndpoint(endpoint);
createServer(app).listen(settings.port, '127.0.0.1', () => console.log('listening'));
