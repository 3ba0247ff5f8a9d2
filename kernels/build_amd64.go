//go:build amd64 && !noasm

package kernels

// haveAssembly says that this build holds the assembly kernels.
const haveAssembly = true
