// Command clients drives narthex with the clients that Prometheus's and Thanos's own projects have written in Go, and checks what it
// is answered. It is run by the script beside it, which starts the servers.
package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// patience bounds a hanging run.
const patience = 2 * time.Minute

// begin is 2025-11-05T00:00:00Z in milliseconds, the start of a two-hour range.
const begin = int64(1_762_300_800_000)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("arguments: the addresses of a server, of one without free space, and of one with a limit of 64KB for bodies"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	good, full, small := os.Args[1], os.Args[2], os.Args[3]
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"remote write 2.0 by client_golang", func() error { return remoteWrite(ctx, good, full) }},
		{"bodies over the limit by client_golang", func() error { return tooLarge(ctx, small) }},
		{"thanos.WriteableStore", func() error { return writeableStore(ctx, good, full) }},
		{"thanos.info.Info", func() error { return info(ctx, good) }},
		{"thanos.Store", func() error { return store(ctx, good) }},
	} {
		fmt.Println("==", part.name)
		if err := part.run(); err != nil {
			fail(fmt.Errorf("%s: %w", part.name, err))
		}
	}
	fmt.Println("== all green")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "clients:", err)
	os.Exit(1)
}

// equal fails unless both print the same.
func equal(what string, found, expected any) error {
	if fmt.Sprintf("%#v", found) != fmt.Sprintf("%#v", expected) {
		return fmt.Errorf("%s: %v instead of %v", what, found, expected)
	}
	fmt.Printf("%s: %v\n", what, found)
	return nil
}

// first is the first error of several checks.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
