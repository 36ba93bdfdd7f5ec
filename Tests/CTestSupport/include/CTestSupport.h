#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H
#endif
