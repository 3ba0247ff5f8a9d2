//go:build !amd64 || noasm

package kernels

// runTile is unreachable here: Supported refuses the tiers that have tiles.
func runTile(tileKind, int, int, *tile) { panic("kernels: this build has no assembly") }
