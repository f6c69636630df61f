// client BASEURL C1|C2|C3|C4 N: what the client program of the bench does, by Go's net/http on one thread of Go code
// (GOMAXPROCS is set by the caller).
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	long   = 1 << 20
	atOnce = 64
)

var expected = map[string]int{"C1": 13, "C2": 13, "C3": long, "C4": 7}

func main() {
	if len(os.Args) != 4 || expected[os.Args[2]] == 0 {
		fail("usage: client BASEURL C1|C2|C3|C4 N")
	}
	base, kind := strings.TrimRight(os.Args[1], "/"), os.Args[2]
	n, err := strconv.Atoi(os.Args[3])
	check(err)
	warm := n / 20
	if warm < 8 {
		warm = 8
	}
	if text := os.Getenv("RIG_WARM"); text != "" {
		warm, err = strconv.Atoi(text)
		check(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	client := &http.Client{Transport: transport}
	load := bytes.Repeat([]byte("x"), long)

	one := func() {
		var response *http.Response
		var err error
		switch kind {
		case "C3":
			response, err = client.Get(base + "/stream")
		case "C4":
			response, err = client.Post(base+"/len", "application/octet-stream", bytes.NewReader(load))
		default:
			response, err = client.Get(base + "/")
		}
		check(err)
		got, err := io.Copy(io.Discard, response.Body)
		check(err)
		response.Body.Close()
		if int(got) != expected[kind] {
			fail(fmt.Sprintf("%d body bytes, not %d", got, expected[kind]))
		}
	}
	all := func(n int) {
		workers := 1
		if kind == "C2" {
			workers = atOnce
			if n < workers {
				workers = n
			}
		}
		var group sync.WaitGroup
		for i := 0; i < workers; i++ {
			share := n / workers
			if i < n%workers {
				share++
			}
			group.Add(1)
			go func() {
				defer group.Done()
				for j := 0; j < share; j++ {
					one()
				}
			}()
		}
		group.Wait()
	}

	all(warm)
	began, user, system := time.Now(), int64(0), int64(0)
	user, system = usage()
	all(n)
	wall := time.Since(began).Microseconds()
	userAfter, systemAfter := usage()
	moved := expected[kind] * n
	if kind == "C4" {
		moved += long * n
	}
	fmt.Printf("{\"n\":%d,\"wall_us\":%d,\"user_us\":%d,\"sys_us\":%d,\"bytes\":%d}\n",
		n, wall, userAfter-user, systemAfter-system, moved)
}

func usage() (int64, int64) {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	micros := func(t syscall.Timeval) int64 { return t.Sec*1000000 + int64(t.Usec) }
	return micros(usage.Utime), micros(usage.Stime)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
