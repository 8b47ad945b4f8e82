// What the original says of the reference pictures: runs nsfwjs itself, once.
//
// In a folder of its own:
//   npm install --ignore-scripts nsfwjs@4.4.0 @tensorflow/tfjs@4.22.0
//   NODE_PATH=$PWD/node_modules node .../models/nsfwjs/reference.cjs < pictures.json
//
// stdin: {"name": {"width": …, "height": …, "rgb": base64}, …}, as make_reference.py
// writes it. stdout: {"name": {"v2": [5 scores], "mid": [5 scores]}, …}. Pure
// JavaScript on the CPU; classes in the package's order.
"use strict";
const fs = require("fs");
const tf = require("@tensorflow/tfjs");
const nsfwjs = require("nsfwjs");

const VARIANTS = { v2: "MobileNetV2", mid: "MobileNetV2Mid" };

async function main() {
  await tf.setBackend("cpu");
  const pictures = JSON.parse(fs.readFileSync(0));
  const said = {};
  for (const [variant, model] of Object.entries(VARIANTS)) {
    console.info = () => {};
    const net = await nsfwjs.load(model);
    for (const [name, { width, height, rgb }] of Object.entries(pictures)) {
      const bytes = new Uint8Array(Buffer.from(rgb, "base64"));
      const picture = tf.tensor3d(bytes, [height, width, 3], "int32");
      said[name] = said[name] || {};
      said[name][variant] = Array.from(await net.infer(picture).data());
    }
  }
  process.stdout.write(JSON.stringify(said));
}

main();
