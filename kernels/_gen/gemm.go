package main

import "github.com/mmcloughlin/avo/build"

// gemmFiles are the matrix products and what belongs to them, one file of routines per entry.
var gemmFiles = map[string]func(*build.Context){}
