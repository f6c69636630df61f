// A peer for the clients: Node's http, with content codings and slow reading.
//
//     node server.js
//
// Prints "listening on ADDR".
'use strict';
const http = require('http');
const zlib = require('zlib');
const crypto = require('crypto');

const text = 'the same line again and again\n'.repeat(10000);

const server = http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/coded') {
        // The first of the codings that were asked for.
        const asked = String(request.headers['accept-encoding'] || '').split(',').map((s) => s.trim());
        const known = {gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync};
        const only = request.url.split('?')[1];
        const coding = asked.find((c) => c in known && (!only || c === only));
        response.setHeader('Vary', 'Accept-Encoding');
        if (coding) {
            response.setHeader('Content-Encoding', coding);
            response.end(known[coding](text));
        } else {
            response.end(text);
        }
    } else if (path === '/sum') {
        const sum = crypto.createHash('sha256');
        request.on('data', (chunk) => {
            sum.update(chunk);
            // Reads slowly, so that the other side has to wait.
            request.pause();
            setTimeout(() => request.resume(), 1);
        });
        request.on('end', () => response.end(sum.digest('hex') + '\n'));
    } else if (path === '/chunks') {
        response.setHeader('Trailer', 'X-Chunks');
        for (let i = 0; i < 1000; i++) response.write(`chunk ${i}\n`);
        response.addTrailers({'X-Chunks': '1000'});
        response.end();
    } else if (path === '/once') {
        // Says nothing of closing, and closes.
        response.end('once\n', () => request.socket.destroySoon());
    } else {
        response.statusCode = 404;
        response.end();
    }
});
server.keepAliveTimeout = 5000;
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
